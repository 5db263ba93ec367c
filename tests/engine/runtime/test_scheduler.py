"""The scheduler's decisions, without clock or backend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import QueueFull
from engine.runtime.backends.base import Row
from engine.runtime.scheduler import (
    QUANTUM,
    RANK,
    Limits,
    Running,
    Turn,
    Waiting,
    admit,
    check_room,
    plan,
    victim,
)
from engine.types import AdapterRef, Class

LIMITS = Limits(chunk=512, busy_chunk=128)
PIRATE = (AdapterRef("pirate"),)


def decoding(
    slot: int, order: int = 0, priority: Class = "api", adapters: tuple[AdapterRef, ...] = ()
) -> Running:
    return Running(slot, priority, order, 1, True, adapters)


def reading(
    slot: int, remaining: int, order: int = 0, priority: Class = "api", adapters: tuple[AdapterRef, ...] = ()
) -> Running:
    return Running(slot, priority, order, remaining, False, adapters)


def rows(running: list[Running], batch: int = 2048, turn: Turn = Turn()) -> list[Row]:  # noqa: B008
    return list(plan(running, LIMITS, batch, turn).rows)


def test_every_decoding_sequence_gets_a_token_before_any_prefill() -> None:
    assert rows([reading(0, 1000), decoding(1), decoding(2)], batch=3) == [Row(1, 1), Row(2, 1), Row(0, 1)]


def test_prefill_is_small_beside_decoding_streams_and_large_alone() -> None:
    assert rows([reading(0, 1000)]) == [Row(0, 512)]
    assert rows([reading(0, 1000), decoding(1)]) == [Row(1, 1), Row(0, 128)]


def test_the_chunk_is_shared_by_those_who_read() -> None:
    assert rows([reading(0, 500), reading(1, 500, order=1)]) == [Row(0, 500), Row(1, 12)]


def test_an_interactive_prompt_is_read_before_an_older_one_of_the_api() -> None:
    assert rows([reading(0, 600), reading(1, 600, order=5, priority="interactive")]) == [Row(1, 512)]


def test_adapter_groups_take_turns_of_a_quantum() -> None:
    running = [decoding(0), decoding(1, order=1, adapters=PIRATE)]
    turn, seen = Turn(), []
    for _ in range(3 * QUANTUM):
        made = plan(running, LIMITS, 64, turn)
        turn = made.turn
        seen.append(made.rows)
    assert seen == [(Row(0, 1),)] * QUANTUM + [(Row(1, 1),)] * QUANTUM + [(Row(0, 1),)] * QUANTUM


def test_a_group_alone_keeps_the_batch() -> None:
    assert plan([decoding(0)], LIMITS, 64, Turn((), 1000)).turn.adapters == ()


def test_slots_go_by_class_then_by_age_and_not_to_the_held() -> None:
    waiting = [
        Waiting((1, 0), "batch", 0),
        Waiting((2, 0), "api", 1),
        Waiting((3, 0), "interactive", 2),
        Waiting((4, 0), "api", 3, held=True),
        Waiting((5, 0), "api", 4),
    ]
    assert [each.key[0] for each in admit(waiting, 3)] == [3, 2, 5]
    assert admit(waiting, 0) == []


def test_a_full_queue_refuses_its_class_alone() -> None:
    limits = Limits(queue_interactive=2, queue_api=1)
    waiting = [Waiting((1, 0), "interactive", 0), Waiting((2, 0), "interactive", 1)]
    with pytest.raises(QueueFull, match="holds 2"):
        check_room(waiting, "interactive", limits, free=0)
    check_room(waiting, "api", limits, free=0)
    check_room(waiting * 50, "batch", limits, free=0)


def test_the_youngest_of_the_lowest_class_gives_way_unless_it_is_alone() -> None:
    assert victim([decoding(0)]) is None
    many = [
        decoding(0, order=9),
        decoding(1, order=1, priority="batch"),
        decoding(2, order=2, priority="batch"),
    ]
    chosen = victim(many)
    assert chosen is not None and chosen.slot == 2


sequences = st.lists(
    st.builds(
        lambda priority, order, remaining, busy, adapted: (
            priority,
            order,
            1 if busy else remaining,
            busy,
            PIRATE if adapted else (),
        ),
        st.sampled_from(sorted(RANK)),
        st.integers(0, 50),
        st.integers(1, 5000),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=16,
)


@given(sequences, st.integers(1, 4096), st.integers(0, 2 * QUANTUM))
def test_a_plan_keeps_every_bound(raw: list[tuple], batch: int, steps: int) -> None:
    running = [Running(slot, *each) for slot, each in enumerate(raw)]
    made = plan(running, LIMITS, batch, Turn((), steps))
    by_slot = {each.slot: each for each in running}
    assert made.rows, "something is always computed"
    assert sum(row.count for row in made.rows) <= batch
    assert len({row.slot for row in made.rows}) == len(made.rows)
    for row in made.rows:
        assert 1 <= row.count <= by_slot[row.slot].remaining
        assert by_slot[row.slot].adapters == made.turn.adapters
    read = sum(row.count for row in made.rows if not by_slot[row.slot].decoding)
    assert read <= (
        LIMITS.busy_chunk if any(by_slot[row.slot].decoding for row in made.rows) else LIMITS.chunk
    )
