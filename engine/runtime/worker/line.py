"""The waiting line of one model: the choices that want a slot, with the accounts and forecasts that order them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from engine.runtime.worker import waiting
from engine.runtime.worker.active import Active
from engine.runtime.worker.choice import Choice
from engine.runtime.worker.waiting import Accounts, Forecast, Waiting
from engine.types import Class


class Line:
    """What `waiting` decides upon. `changed` says whether somebody came or went since `positions` was asked."""

    def __init__(self, slots: int) -> None:
        self._waiting: dict[tuple[int, int], tuple[Choice, Active]] = {}
        self._accounts = Accounts()
        self._passes: dict[tuple[int, int], int] = {}
        self.forecast = Forecast(slots)
        self.changed = False
        self.held = False
        """Whether at the last look everybody waited for something else than a slot."""
        self.blocked: Choice | None = None
        """Who did not fit into the KV cache at the last look."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, choice: Choice, active: Active) -> None:
        choice.since = time.monotonic_ns()
        self._waiting[choice.key, choice.index] = choice, active
        self.changed, self.held = True, False

    def remove(self, choice: Choice) -> None:
        del self._waiting[choice.key, choice.index]
        self._passes.pop((choice.key, choice.index), None)
        self.changed = True

    def ahead(self, priority: Class) -> int:
        """How many of a class wait."""
        return sum(active.priority == priority for _, active in self._waiting.values())

    def settle(self, active: Iterable[str]) -> None:
        """Tell which clients have requests at all: the others' accounts are closed."""
        self._accounts.settle(active)

    def charge(self, choice: Choice, active: Active) -> None:
        """`choice` has got a slot: its client pays for what it still has to compute, and for its answer."""
        self._accounts.charge(active.client, self._cost(choice, active))

    def order(self, now: int) -> list[Choice]:
        """Who comes first."""
        return [self._waiting[each.key][0] for each in self._sorted(now)]

    def next(self, slots: int, cells: int, now: int, holds: Callable[[Choice], bool]) -> list[Choice]:
        """Who gets one of `slots` free slots, with `cells` KV cells to go round; `holds` says who should still wait."""
        queue = self._sorted(now)
        looked = queue[: slots + waiting.LOOK_AHEAD]
        asked = [
            self._entry(*self._waiting[each.key], held=holds(self._waiting[each.key][0])) for each in looked
        ]
        self.held = bool(asked) and len(asked) == len(queue) and all(each.held for each in asked)
        admission = waiting.admit(asked, slots, cells, self._passes)
        self.blocked = None
        if admission.blocked is not None:
            key = admission.blocked.key
            self.blocked = self._waiting[key][0]
            self._passes[key] = self._passes.get(key, 0) + admission.passed
        return [self._waiting[each.key][0] for each in admission.admitted]

    def positions(self, now: int) -> list[tuple[Active, int, float | None]]:
        """Requests without any slot, with their place and the seconds that it may take."""
        self.changed = False
        seen: dict[int, Active] = {}
        for each in self._sorted(now):
            active = self._waiting[each.key][1]
            if active.waits:
                seen.setdefault(each.key[0], active)
        return [
            (active, position, self.forecast.wait(position))
            for position, active in enumerate(seen.values(), start=1)
        ]

    def _sorted(self, now: int) -> list[Waiting]:
        entries = [self._entry(choice, active) for choice, active in self._waiting.values()]
        return waiting.in_order(entries, self._accounts.served, now)

    def _entry(self, choice: Choice, active: Active, *, held: bool = False) -> Waiting:
        return Waiting(
            key=(choice.key, choice.index),
            priority=active.priority,
            order=active.order,
            client=active.client,
            since=choice.since,
            cost=self._cost(choice, active),
            cells=choice.own,
            held=held,
        )

    @staticmethod
    def _cost(choice: Choice, active: Active) -> int:
        return choice.remaining + min(active.limit, waiting.ANSWER_COST)
