"""Decides which models stay in memory. Pure: a view of the models comes in, a decision goes out.

A model is idle when no request refers to it. Its keep-alive runs from the end of its last request. When a new
model wants in and the number is full, the idle model that was used longest ago leaves.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Resident(Struct, frozen=True):
    """A model that is in memory, or on its way in or out. Moments in ns of the monotonic clock."""

    model: str
    references: int
    """Requests that run or wait on it, and a load under way."""
    last_used: int
    expires: int | None = None
    """When its keep-alive ends, if nothing comes; None: never."""
    leaving: bool = False


class Verdict(Struct, frozen=True):
    """Whether a new model may load now; if not, which model leaves for it (None: wait for an idle one)."""

    granted: bool
    victim: str | None = None


def expiry(now: int, keep_alive: float) -> int | None:
    """When a model that falls idle `now` expires; `keep_alive` in seconds, negative is never."""
    return None if keep_alive < 0 else now + int(keep_alive * 1e9)


def admit(residents: Iterable[Resident], most: int) -> Verdict:
    """May one more model load while at most `most` are resident?"""
    residents = list(residents)
    if len(residents) < most:
        return Verdict(True)
    if any(each.leaving for each in residents):
        return Verdict(False)
    idle = [each for each in residents if each.references == 0]
    return Verdict(False, min(idle, key=lambda each: each.last_used).model if idle else None)


def due(residents: Iterable[Resident], now: int) -> list[str]:
    """Idle models whose keep-alive is over."""
    return [
        each.model
        for each in residents
        if each.references == 0 and not each.leaving and each.expires is not None and each.expires <= now
    ]


def next_due(residents: Iterable[Resident]) -> int | None:
    """The earliest moment at which `due` will have something to say; None if it never will."""
    moments = [
        each.expires
        for each in residents
        if each.references == 0 and not each.leaving and each.expires is not None
    ]
    return min(moments, default=None)
