"""Decides what the next step computes and who comes next. Pure: no clock, no backend.

Decodes go first, because every running stream waits for its next token; what the batch still holds goes to
prefill, in small chunks while others decode. Requests with different adapters never share a step: the groups
take turns. Classes are strict (interactive before api before batch), first come first served inside one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from engine.errors import QueueFull
from engine.runtime.backends.base import Row
from engine.types import AdapterRef, Class

RANK: dict[Class, int] = {"interactive": 0, "api": 1, "batch": 2}
QUANTUM = 16
"""Steps that one adapter group may take while another waits."""


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of one worker; chunks in tokens, queue lengths in requests (None: no bound)."""

    chunk: int = 512
    """Largest prefill chunk when nobody decodes."""
    busy_chunk: int = 128
    """Prefill tokens of a step in which streams decode: more would make them stutter."""
    answer_reserve: int = 512
    """Tokens of the window that a prompt leaves free for the answer."""
    queue_interactive: int | None = 8
    queue_api: int | None = 128
    queue_batch: int | None = None

    def queue(self, priority: Class) -> int | None:
        bounds = {"interactive": self.queue_interactive, "api": self.queue_api, "batch": self.queue_batch}
        return bounds[priority]


class Waiting(Struct, frozen=True):
    """A sequence that wants a slot. `key` is (request, choice). `order` counts submissions, and a
    preempted sequence keeps its own."""

    key: tuple[int, int]
    priority: Class
    order: int
    held: bool = False
    """Not yet: it will share a prompt that is still being computed."""


class Running(Struct, frozen=True):
    """A sequence in a slot. `remaining` known tokens are not computed yet; a decoding one has exactly one."""

    slot: int
    priority: Class
    order: int
    remaining: int
    decoding: bool
    adapters: tuple[AdapterRef, ...] = ()


class Turn(Struct, frozen=True):
    """Which adapter group has the batch and for how many steps it had it."""

    adapters: tuple[AdapterRef, ...] = ()
    steps: int = 0


class Plan(Struct, frozen=True):
    rows: tuple[Row, ...]
    turn: Turn


def in_order(waiting: Iterable[Waiting]) -> list[Waiting]:
    """The queue: by class, then by age."""
    return sorted(waiting, key=lambda each: (RANK[each.priority], each.order))


def admit(waiting: Iterable[Waiting], free: int) -> list[Waiting]:
    """Who gets the `free` slots."""
    return [each for each in in_order(waiting) if not each.held][: max(0, free)]


def check_room(waiting: Iterable[Waiting], priority: Class, limits: Limits, free: int) -> None:
    """Raises QueueFull if one more request of `priority` would have to wait in a full queue."""
    bound = limits.queue(priority)
    if bound is None:
        return
    ahead = sum(1 for each in waiting if each.priority == priority)
    if ahead >= bound + max(0, free):
        raise QueueFull(
            f"{ahead} requests of class {priority} already wait for this model.",
            f"The queue of that class holds {bound}.",
            f"Try again later, or raise runtime.queue_{priority}.",
        )


def plan(running: Sequence[Running], limits: Limits, batch: int, turn: Turn) -> Plan:
    """The rows of the next step, `batch` tokens at most, all of one adapter group."""
    turn = _next_turn(running, turn)
    group = sorted(
        (each for each in running if each.adapters == turn.adapters),
        key=lambda each: (RANK[each.priority], each.order),
    )
    rows = [Row(each.slot, 1) for each in group if each.decoding][:batch]
    left = batch - len(rows)
    chunk = min(left, limits.busy_chunk if rows else limits.chunk)
    for each in group:
        if each.decoding or chunk <= 0:
            continue
        count = min(chunk, each.remaining)
        rows.append(Row(each.slot, count))
        chunk -= count
    return Plan(tuple(rows), Turn(turn.adapters, turn.steps + 1))


def victim(running: Sequence[Running]) -> Running | None:
    """Who gives up its slot when the KV cache is full: the youngest of the lowest class; not the only one."""
    if len(running) < 2:
        return None
    return max(running, key=lambda each: (RANK[each.priority], each.order, each.slot))


def _next_turn(running: Sequence[Running], turn: Turn) -> Turn:
    """Keep the group until it is empty, or its quantum is over and another waits; then the oldest other."""
    mine = any(each.adapters == turn.adapters for each in running)
    others = [each for each in running if each.adapters != turn.adapters]
    if not others or (mine and turn.steps < QUANTUM):
        return turn
    return Turn(min(others, key=lambda each: (RANK[each.priority], each.order)).adapters, 0)
