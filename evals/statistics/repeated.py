"""What several answers to one sample say together: pass@k, pass^k, and what most of them say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import comb
from typing import TypeVar

_T = TypeVar("_T", bound=Hashable)


def pass_at_k(answers: int, passed: int, k: int) -> float:
    """The chance that one of k answers passes: the unbiased estimate of Chen et al. 2021 from `answers` of them."""
    _check(answers, passed, k)
    return 1.0 - comb(answers - passed, k) / comb(answers, k)


def pass_hat_k(answers: int, passed: int, k: int) -> float:
    """The chance that all of k answers pass (pass^k), estimated in the same way."""
    _check(answers, passed, k)
    return comb(passed, k) / comb(answers, k)


def majority(answers: Sequence[_T]) -> _T:
    """What most of them are; of equals the one that came first. ValueError for none."""
    if not answers:
        raise ValueError("there is no majority of nothing")
    counts = Counter(answers)
    most = max(counts.values())
    return next(answer for answer in answers if counts[answer] == most)


def _check(answers: int, passed: int, k: int) -> None:
    if not 0 <= passed <= answers or not 1 <= k <= answers:
        raise ValueError(f"k = {k} of {answers} answers, {passed} of them passed, cannot be")
