"""Decides what the next step computes. Pure: no clock, no backend. Who comes into a slot is decided in `waiting`.

Decodes go first, because every running stream waits for its next token; what the batch still holds goes to prefill, in
small chunks while others of the same or a better class decode. Requests with different adapters never share a step: the
groups take turns. While somebody at a screen waits for a first token, batch work sits out.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.runtime.backends.base import Row
from engine.runtime.limits import Limits
from engine.types import AdapterRef, Class

RANK: dict[Class, int] = {"interactive": 0, "api": 1, "batch": 2}
QUANTUM_STEPS = 16
QUANTUM_NS = 250_000_000
"""What one adapter group may take while another waits: so many steps, or so long."""
MOST_READERS = 2
"""Sequences that prefill in one step: more would each come to their first token later."""


class Running(Struct, frozen=True):
    """A sequence in a slot. `remaining` known tokens are not computed yet; a decoding one has exactly one.

    `draft` are guesses at what follows it; `scored` asks for the probabilities of the tokens it reads.
    """

    slot: int
    priority: Class
    order: int
    remaining: int
    decoding: bool
    adapters: tuple[AdapterRef, ...] = ()
    draft: tuple[int, ...] = ()
    scored: bool = False
    whole: bool = False
    """Whether `remaining` is all or nothing: a picture, which may be larger than a batch. It has a step to itself."""

    @property
    def urgent(self) -> bool:
        """Whether somebody at a screen waits for its first token."""
        return self.priority == "interactive" and not self.decoding


class Turn(Struct, frozen=True):
    """Which adapter group has the batch, for how many steps, and since when (ns)."""

    adapters: tuple[AdapterRef, ...] = ()
    steps: int = 0
    since: int = 0


class Plan(Struct, frozen=True):
    rows: tuple[Row, ...]
    turn: Turn


class Room(Struct, frozen=True):
    """What one step can take: tokens of the batch, and rows of logits."""

    tokens: int
    outputs: int


def plan(running: Sequence[Running], limits: Limits, room: Room, turn: Turn, now: int = 0) -> Plan:
    """The rows of the next step, within `room`, all of one adapter group; `now` in ns of the monotonic clock."""
    urgent = any(each.urgent for each in running)
    if urgent:
        running = [each for each in running if each.priority != "batch"]
    turn = _next_turn(running, turn, now, urgent=urgent)
    group = sorted(
        (each for each in running if each.adapters == turn.adapters),
        key=lambda each: (RANK[each.priority], each.order),
    )
    decoders = [each for each in group if each.decoding]
    readers = [each for each in group if not each.decoding]
    if readers and readers[0].whole:
        row = Row(readers[0].slot, readers[0].remaining, whole=True)
        return Plan((row,), Turn(turn.adapters, turn.steps + 1, turn.since))
    # Guesses would take what the readers need.
    rows, left = _decodes(decoders, room, guess=not readers)
    rows += _prefills(readers, decoders, limits, left)
    return Plan(tuple(rows), Turn(turn.adapters, turn.steps + 1, turn.since))


def _decodes(group: Sequence[Running], room: Room, *, guess: bool) -> tuple[list[Row], Room]:
    """One token each, and then guesses, as far as they go; what is left of `room`."""
    chosen = group[: min(room.tokens, room.outputs)]
    tokens, outputs = room.tokens - len(chosen), room.outputs - len(chosen)
    rows = []
    for each in chosen:
        draft = each.draft[: max(0, min(tokens, outputs))] if guess else ()
        tokens -= len(draft)
        outputs -= len(draft)
        rows.append(Row(each.slot, 1, draft))
    return rows, Room(tokens, outputs)


def _prefills(
    readers: Sequence[Running], decoders: Sequence[Running], limits: Limits, room: Room
) -> list[Row]:
    rows: list[Row] = []
    tokens, outputs = room.tokens, room.outputs
    for each in readers[:MOST_READERS]:
        stutters = any(RANK[other.priority] <= RANK[each.priority] for other in decoders)
        chunk = (limits.busy_chunk if stutters else limits.chunk) - sum(row.count for row in rows)
        count = min(tokens, each.remaining, chunk)
        if each.whole:
            # It goes alone, in a step of its own.
            break
        count = min(count, outputs) if each.scored else count
        if count <= 0 or outputs <= 0:
            break
        rows.append(Row(each.slot, count, scored=each.scored))
        tokens -= count
        outputs -= count if each.scored else 1
    return rows


def victim(running: Sequence[Running]) -> Running | None:
    """Who gives up its slot when the KV cache is full: the youngest of the lowest class; not the only one."""
    if len(running) < 2:
        return None
    return max(running, key=lambda each: (RANK[each.priority], each.order, each.slot))


def displaced(running: Sequence[Running], priority: Class) -> Running | None:
    """Who gives up its slot for a request of `priority` that finds none: the youngest of the lowest class below it."""
    below = [each for each in running if RANK[each.priority] > RANK[priority]]
    return victim([*below, below[0]]) if below else None


def _next_turn(running: Sequence[Running], turn: Turn, now: int, *, urgent: bool) -> Turn:
    """Keep the group until it is empty, or its quantum is over and another waits, or another is urgent."""
    mine = [each for each in running if each.adapters == turn.adapters]
    others = [each for each in running if each.adapters != turn.adapters]
    if urgent and not any(each.urgent for each in mine):
        others = [each for each in others if each.urgent]
    elif not others or (mine and turn.steps < QUANTUM_STEPS and now - turn.since < QUANTUM_NS):
        return turn if turn.steps else Turn(turn.adapters, 0, now)
    return Turn(min(others, key=lambda each: (RANK[each.priority], each.order)).adapters, 0, now)
