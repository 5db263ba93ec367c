"""Tests that belong to both tiers: a share of their cases in the fast one, all of them in the long one.

`make test` asks a property for few examples, and a product of cases for one of a kind; `make test-long` for the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

FAST_SHARE = 5
"""One example of so many is asked for in the fast tier."""
USUAL = 100
"""Examples of a property that names no number."""


class _Tier:
    is_long = False


def begin(*, is_long: bool) -> None:
    """Which tier runs; before tests are collected."""
    _Tier.is_long = is_long


def is_long() -> bool:
    return _Tier.is_long


def examples(most: int = USUAL) -> int:
    """How many examples to ask for: `most` in the long tier, a share of them in the fast one."""
    return most if _Tier.is_long else max(5, most // FAST_SHARE)


def mostly_long(cases: Iterable[Any], fast: Collection[Any] | int) -> list[Any]:
    """The parameters `cases`, of which only those of `fast`, or so many of the first, are asked in the fast tier."""
    found = list(cases)
    if isinstance(fast, int):
        return found[:fast] + [_long(case) for case in found[fast:]]
    strange = [case for case in fast if case not in found]
    assert not strange, f"no cases: {strange}"
    return [case if case in fast else _long(case) for case in found]


def _long(case: Any) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
