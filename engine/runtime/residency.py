"""Decides which models stay in memory. Pure: a view of the models comes in, a decision goes out.

A model is idle when no request refers to it. Its keep-alive runs from the end of its last request. When a new model
wants in and there is no room, idle models make way: first they give up KV caches and keep their weights, then they
leave, the least valuable first. What is busy, loading or pinned never makes way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from engine.library.pools import joined, missing

LEAST_LOAD_SECONDS = 0.1
"""Loads that were faster count as this long: below it nobody notices."""
FOR_EVER_WEIGHT = 4.0
"""How much dearer a model is that somebody asked to keep for ever."""


class Resident(Struct, frozen=True, kw_only=True):
    """A model that is in memory, or on its way in or out. Moments in ns of the monotonic clock, sizes in bytes."""

    model: str
    references: int = 0
    """Requests that run or wait on it, and a load under way."""
    last_used: int = 0
    expires: int | None = None
    """When its keep-alive ends, if nothing comes; None: never."""
    leaving: bool = False
    pinned: bool = False
    holds: Mapping[str, int] = field(default_factory=dict)
    """By pool of memory."""
    spare: Mapping[str, int] = field(default_factory=dict)
    """What of it would be free if it gave up its KV cache; nothing if it has none, or cannot."""
    load_seconds: float = 1.0
    """How long it took to load."""
    weight: float = 1.0
    """How dear it is beside its load time."""

    @property
    def idle(self) -> bool:
        return self.references == 0 and not self.leaving and not self.pinned


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be done for a model that wants in.

    Granted: load it. Else shrink or evict those named, and ask again when that is done; if nobody is named, wait for
    what is leaving or busy (`waits`), or there is not enough memory: then `short` says how many bytes of which pool
    are missing even with every idle model gone, and `would_be_free` what there is then.
    """

    granted: bool = False
    shrink: tuple[str, ...] = ()
    evict: tuple[str, ...] = ()
    waits: bool = False
    short: Mapping[str, int] = field(default_factory=dict)
    free: Mapping[str, int] = field(default_factory=dict)
    would_be_free: Mapping[str, int] = field(default_factory=dict)

    @property
    def possible(self) -> bool:
        """Whether the model will be loaded, sooner or later."""
        return self.granted or self.waits or bool(self.shrink or self.evict)


def expiry(now: int, keep_alive: float) -> int | None:
    """When a model that falls idle `now` expires; `keep_alive` in seconds, negative is never."""
    return None if keep_alive < 0 else now + int(keep_alive * 1e9)


def value(model: Resident, now: int) -> float:
    """How little harm it does to send an idle model away: idle time over what it takes to have it back."""
    return (now - model.last_used) / 1e9 / (max(model.load_seconds, LEAST_LOAD_SECONDS) * model.weight)


def plan_evictions(
    need: Mapping[str, int],
    free: Mapping[str, int],
    models: Iterable[Resident],
    now: int,
    *,
    most: int,
    counted: bool = True,
) -> Plan:
    """Who makes way for a model that needs `need` bytes by pool, while at most `most` models are resident.

    `counted` is False for one that is resident already and wants more memory.
    """
    models = list(models)
    surplus = len(models) + 1 - most if counted else 0
    short = missing(need, free)
    if surplus <= 0 and not short:
        return Plan(granted=True)
    if any(model.leaving for model in models):
        return Plan(waits=True)
    idle = sorted((model for model in models if model.idle), key=lambda model: -value(model, now))
    if surplus <= 0:
        shrinking = _covering(short, [(model, model.spare) for model in idle if model.spare])
        if shrinking:
            return Plan(shrink=shrinking)
    leaving = _covering(short, [(model, model.holds) for model in idle], at_least=surplus)
    if leaving:
        return Plan(evict=leaving)
    would_be_free = _after(free, idle)
    others = [model for model in models if not model.pinned]
    if len(others) >= surplus and not missing(need, _after(free, others)):
        # Enough would be there once those are done that are at work now.
        return Plan(waits=True, free=free, would_be_free=would_be_free)
    return Plan(short=missing(need, would_be_free), free=free, would_be_free=would_be_free)


def _after(free: Mapping[str, int], models: Iterable[Resident]) -> dict[str, int]:
    """What is free when `models` are gone."""
    found = dict(free)
    for model in models:
        found = {pool: size + model.holds.get(pool, 0) for pool, size in found.items()}
    return found


def _covering(
    short: Mapping[str, int], candidates: Sequence[tuple[Resident, Mapping[str, int]]], *, at_least: int = 0
) -> tuple[str, ...]:
    """The models, of `candidates` with what each gives, the best first, that together give `short`; none if all do not.

    One alone if one will do, the best such; else as few as a greedy choice finds, and `at_least` so many.
    """
    if at_least <= 1:
        for model, gives in candidates:
            if not missing(short, joined(dict.fromkeys(short, 0), gives)):
                return (model.model,)
    chosen: list[tuple[Resident, Mapping[str, int]]] = []
    left, pool_left = dict(short), list(candidates)
    while (left or len(chosen) < at_least) and pool_left:
        # The largest part of what is still missing; of equals the first, which is the best.
        best = max(
            pool_left, key=lambda one: sum(min(one[1].get(pool, 0), size) for pool, size in left.items())
        )
        pool_left.remove(best)
        chosen.append(best)
        left = {pool: size - best[1].get(pool, 0) for pool, size in left.items()}
        left = {pool: size for pool, size in left.items() if size > 0}
    if left or len(chosen) < at_least:
        return ()
    for one in sorted(chosen, key=lambda one: sum(one[1].get(pool, 0) for pool in short)):
        rest = [other for other in chosen if other is not one]
        given: dict[str, int] = dict.fromkeys(short, 0)
        for _, gives in rest:
            given = joined(given, gives)
        if len(rest) >= max(1, at_least) and not missing(short, given):
            chosen = rest
    return tuple(model.model for model, _ in chosen)


def due(residents: Iterable[Resident], now: int) -> list[str]:
    """Idle models whose keep-alive is over."""
    return [
        each.model for each in residents if each.idle and each.expires is not None and each.expires <= now
    ]


def next_due(residents: Iterable[Resident]) -> int | None:
    """The earliest moment at which `due` will have something to say; None if it never will."""
    moments = [each.expires for each in residents if each.idle and each.expires is not None]
    return min(moments, default=None)
