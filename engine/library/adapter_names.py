"""What follows the colon of `model:adapter`: one adapter, or several with their scales.

    poet            one adapter
    poet=0.5        at half its strength
    poet+pirate=2   two at once
    default         the model's own          base, none     no adapter

An adapter whose own name holds `+` or `=` is meant wherever the whole text is its name.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from engine.errors import InvalidRequest
from engine.text_safety import plain
from engine.types import AdapterRef

DEFAULT: Final = "default"
NONE: Final = "none"
NO_ADAPTER: Final = frozenset({"base", NONE})
MOST_AT_ONCE: Final = 8
MAX_SCALE: Final = 100.0
"""Of either sign; the bound of `AdapterRef`."""
_SCALE: Final = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{0,6})?|\.\d{1,6})", re.ASCII)


def parse(text: str, known: Collection[str]) -> tuple[AdapterRef, ...]:
    """The adapters that `text` names, in its order; empty for `base` and `none`. `known` are whole names.

    Raises InvalidRequest for a scale that is none or out of bounds, for too many and for a missing name.
    Whether there is such an adapter is not asked here.
    """
    lower = text.lower()
    if lower in NO_ADAPTER:
        return ()
    if lower in {name.lower() for name in known} or not ("+" in text or "=" in text):
        return (AdapterRef(text),)
    parts = text.split("+")
    if len(parts) > MOST_AT_ONCE:
        raise _bad(text, f"It names {len(parts)} adapters; {MOST_AT_ONCE} can be laid over a model at once.")
    found = tuple(_one(text, part) for part in parts)
    if len(found) > 1 and any(each.name.lower() in NO_ADAPTER for each in found):
        raise _bad(text, "`base` and `none` are the model without an adapter; nothing can be added to that.")
    return found


def _one(text: str, part: str) -> AdapterRef:
    name, equals, number = part.partition("=")
    if not name.strip():
        raise _bad(text, "The name of an adapter is missing.")
    if not equals:
        return AdapterRef(name)
    if not _SCALE.fullmatch(number) or abs(float(number)) > MAX_SCALE:
        raise _bad(text, f"A scale is a number from -{MAX_SCALE:.0f} to {MAX_SCALE:.0f}.")
    return AdapterRef(name, float(number))


def _bad(text: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{plain(text, 80)!r} names no adapters.",
        why,
        "Write them as in `model:poet`, `model:poet=0.5` or `model:poet+pirate=2`.",
        param="model",
    )
