"""Decides who comes into a slot next, and how long that may take. Pure: moments come in, an order goes out.

Classes come first (interactive before api before batch); who has waited long enough counts as one class better.
Inside a class, clients are served alike by cost: each has an account of tokens served, and the one that has had least
comes next (start-time fair queuing, after Goyal, Vin and Cheng 1996). A sequence that does not fit into the KV cache
yet may be passed by smaller ones, but only so often.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from engine.errors import QueueFull
from engine.runtime.limits import Limits
from engine.runtime.worker.scheduler import RANK
from engine.types import Class

AGES_NS: dict[Class, int] = {"interactive": 1 << 62, "api": 5 * 10**9, "batch": 30 * 10**9}
"""Waiting time after which a sequence counts as one class better."""
LOOK_AHEAD = 8
"""How many sequences behind one that does not fit are looked at."""
MOST_PASSES = 16
"""How often a sequence that does not fit may be passed by others."""
ANSWER_COST = 256
"""Tokens that an answer is expected to have, for fairness; fewer where the request says so."""


class Waiting(Struct, frozen=True, kw_only=True):
    """A sequence that wants a slot. `key` is (request, choice). `order` counts submissions, and a preempted sequence
    keeps its own.

    `cost` are the tokens that it is expected to take (computed prompt and answer), `cells` the KV cells that it needs
    to start with, `since` the moment from which it waits (ns).
    """

    key: tuple[int, int]
    priority: Class
    order: int
    client: str = ""
    since: int = 0
    cost: int = 1
    cells: int = 1
    held: bool = False
    """Not yet: it will share a prompt that is still being computed, or its saved state is being read."""


class Admission(Struct, frozen=True):
    """Who comes in now, in order; `blocked` is the first that did not fit into the KV cache, `passed` by so many."""

    admitted: tuple[Waiting, ...]
    blocked: Waiting | None = None
    passed: int = 0


class Accounts:
    """Tokens served to each client, as far as it matters who had more."""

    def __init__(self) -> None:
        self._served: dict[str, float] = {}

    def charge(self, client: str, cost: float) -> None:
        self._served[client] = self._served.get(client, 0.0) + cost

    def settle(self, active: Iterable[str]) -> None:
        """Forget clients that want nothing any more, and let a new one begin level with the least served."""
        known = set(active)
        self._served = {client: served for client, served in self._served.items() if client in known}
        floor = min(self._served.values(), default=0.0)
        for client in known:
            self._served.setdefault(client, floor)

    @property
    def served(self) -> Mapping[str, float]:
        return self._served


def rank(each: Waiting, now: int) -> int:
    """0 is served first."""
    aged = now - each.since >= AGES_NS[each.priority]
    return max(0, RANK[each.priority] - aged)


def in_order(waiting: Iterable[Waiting], served: Mapping[str, float], now: int) -> list[Waiting]:
    """The queue: by class, inside it by what its client has had and would have had by then, then by age."""
    due = dict(served)
    starts: dict[tuple[int, int], float] = {}
    queue = sorted(waiting, key=lambda each: (rank(each, now), each.order, each.key))
    for each in queue:
        starts[each.key] = due.get(each.client, 0.0)
        due[each.client] = starts[each.key] + each.cost
    return sorted(queue, key=lambda each: (rank(each, now), starts[each.key], each.order, each.key))


def admit(
    queue: Sequence[Waiting], slots: int, cells: int, passes: Mapping[tuple[int, int], int]
) -> Admission:
    """Who of `queue` (in order) gets one of `slots` free slots, with `cells` KV cells to go round.

    `passes` counts how often a sequence that did not fit was passed before.
    """
    admitted: list[Waiting] = []
    blocked: Waiting | None = None
    looked = passed = 0
    for each in queue:
        if len(admitted) >= slots:
            break
        if each.held:
            continue
        if blocked is not None:
            looked += 1
            if looked > LOOK_AHEAD or passes.get(blocked.key, 0) + passed >= MOST_PASSES:
                break
        if each.cells <= cells:
            admitted.append(each)
            passed += blocked is not None
            cells -= each.cells
        elif blocked is None:
            blocked = each
    return Admission(tuple(admitted), blocked, passed)


def check_room(ahead: int, priority: Class, limits: Limits, free: int, wait: float | None) -> None:
    """Raises QueueFull if one more request of `priority` would have to wait behind `ahead` in a full queue.

    `wait` is the expected time, in seconds, until there is room again.
    """
    bound = limits.queue(priority)
    if bound is None or ahead < bound + max(0, free):
        return
    raise QueueFull(
        f"{ahead} requests of class {priority} already wait for this model.",
        f"The queue of that class holds {bound}.",
        f"Try again later, or raise runtime.queue_{priority}.",
        retry_after_s=None if wait is None else max(1.0, round(wait, 1)),
    )


class Forecast:
    """How long requests take on this model, from those that ended: an exponentially weighted mean."""

    _WEIGHT = 0.2

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._mean: float | None = None

    def ended(self, seconds: float) -> None:
        """A request was served in `seconds`, from admission to end."""
        self._mean = seconds if self._mean is None else self._mean + self._WEIGHT * (seconds - self._mean)

    def wait(self, position: int) -> float | None:
        """Seconds until the request at `position` (1 is next) may get a slot; None before anything has ended."""
        return None if self._mean is None else self._mean * position / self._slots
