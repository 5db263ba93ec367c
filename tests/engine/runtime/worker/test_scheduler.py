"""What a step computes, without clock or backend."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.backends.base import Row
from engine.runtime.limits import Limits
from engine.runtime.worker.scheduler import (
    MOST_READERS,
    QUANTUM_NS,
    QUANTUM_STEPS,
    RANK,
    Room,
    Running,
    Turn,
    displaced,
    plan,
    victim,
)
from engine.types import AdapterRef, Class

LIMITS = Limits(chunk=512, busy_chunk=128)
PIRATE = (AdapterRef("pirate"),)
START = Turn((), 1, 0)


def decoding(
    slot: int,
    order: int = 0,
    priority: Class = "api",
    adapters: tuple[AdapterRef, ...] = (),
    draft: tuple[int, ...] = (),
) -> Running:
    return Running(slot, priority, order, 1, True, adapters, draft)


def reading(
    slot: int,
    remaining: int,
    order: int = 0,
    priority: Class = "api",
    adapters: tuple[AdapterRef, ...] = (),
    *,
    scored: bool = False,
) -> Running:
    return Running(slot, priority, order, remaining, False, adapters, scored=scored)


def rows(running: list[Running], tokens: int = 2048, outputs: int = 64, turn: Turn = START) -> list[Row]:
    return list(plan(running, LIMITS, Room(tokens, outputs), turn).rows)


def test_every_decoding_sequence_gets_a_token_before_any_prefill() -> None:
    made = rows([reading(0, 1000), decoding(1), decoding(2)], tokens=3)
    assert made == [Row(1, 1), Row(2, 1), Row(0, 1)]


def test_prefill_is_small_beside_decoding_streams_and_large_alone() -> None:
    assert rows([reading(0, 1000)]) == [Row(0, 512)]
    assert rows([reading(0, 1000), decoding(1)]) == [Row(1, 1), Row(0, 128)]


def test_a_prompt_from_a_screen_is_read_in_large_chunks_beside_lower_classes() -> None:
    assert rows([reading(0, 1000, priority="interactive"), decoding(1)]) == [Row(1, 1), Row(0, 512)]
    beside = [reading(0, 1000, priority="interactive"), decoding(1, priority="interactive")]
    assert rows(beside) == [Row(1, 1), Row(0, 128)]


def test_the_chunk_is_shared_by_two_who_read_and_a_third_waits() -> None:
    made = rows([reading(0, 500), reading(1, 500, order=1), reading(2, 500, order=2)])
    assert made == [Row(0, 500), Row(1, 12)]
    assert rows([reading(slot, 10, order=slot) for slot in range(3)]) == [Row(0, 10), Row(1, 10)]


def test_an_interactive_prompt_is_read_before_an_older_one_of_the_api() -> None:
    assert rows([reading(0, 600), reading(1, 600, order=5, priority="interactive")]) == [Row(1, 512)]


def test_batch_work_sits_out_while_somebody_at_a_screen_waits_for_a_first_token() -> None:
    batch = [decoding(slot, priority="batch") for slot in range(3)] + [reading(3, 900, priority="batch")]
    assert rows([*batch, reading(4, 20, order=9, priority="interactive")]) == [Row(4, 20)]
    assert len(rows([*batch, decoding(4, order=9, priority="interactive")])) == 5, "only until then"


def test_adapter_groups_take_turns_of_a_quantum() -> None:
    running = [decoding(0), decoding(1, order=1, adapters=PIRATE)]
    turn, seen = Turn(), []
    for _ in range(3 * QUANTUM_STEPS):
        made = plan(running, LIMITS, Room(64, 64), turn)
        turn = made.turn
        seen.append(made.rows)
    one, other = [(Row(0, 1),)] * QUANTUM_STEPS, [(Row(1, 1),)] * QUANTUM_STEPS
    assert seen == [*one, *other, *one]


def test_a_quantum_ends_by_the_clock_too() -> None:
    running = [decoding(0), decoding(1, order=1, adapters=PIRATE)]
    made = plan(running, LIMITS, Room(64, 64), Turn((), 1, 0), QUANTUM_NS)
    assert made.turn == Turn(PIRATE, 1, QUANTUM_NS)


def test_a_waiting_screen_need_not_wait_for_a_turn_of_adapters() -> None:
    running = [decoding(0), reading(1, 20, order=1, priority="interactive", adapters=PIRATE)]
    made = plan(running, LIMITS, Room(64, 64), Turn((), 1, 0))
    assert made.rows == (Row(1, 20),)


def test_a_group_alone_keeps_the_batch() -> None:
    assert plan([decoding(0)], LIMITS, Room(64, 64), Turn((), 1000)).turn.adapters == ()


def test_guesses_take_what_is_left_and_nothing_from_those_who_read() -> None:
    guessing = [decoding(0, draft=(7, 8, 9)), decoding(1, order=1, draft=(5, 6))]
    assert rows(guessing) == [Row(0, 1, (7, 8, 9)), Row(1, 1, (5, 6))]
    assert rows(guessing, outputs=5) == [Row(0, 1, (7, 8, 9)), Row(1, 1)]
    assert rows(guessing, tokens=3) == [Row(0, 1, (7,)), Row(1, 1)]
    assert rows([*guessing, reading(2, 5)])[:2] == [Row(0, 1), Row(1, 1)]


def test_a_scored_prompt_is_read_as_far_as_there_are_outputs() -> None:
    assert rows([reading(0, 400, scored=True), decoding(1)], outputs=20) == [
        Row(1, 1),
        Row(0, 19, scored=True),
    ]


def test_the_youngest_of_the_lowest_class_gives_way_unless_it_is_alone() -> None:
    assert victim([decoding(0)]) is None
    many = [
        decoding(0, order=9),
        decoding(1, order=1, priority="batch"),
        decoding(2, order=2, priority="batch"),
    ]
    chosen = victim(many)
    assert chosen is not None and chosen.slot == 2


def test_a_slot_is_taken_only_from_a_lower_class() -> None:
    running = [decoding(0, order=9), decoding(1, order=1, priority="batch")]
    for priority, slot in (("interactive", 1), ("api", 1), ("batch", None)):
        chosen = displaced(running, priority)  # type: ignore[arg-type]
        assert (None if chosen is None else chosen.slot) == slot
    only = displaced([decoding(0)], "interactive")
    assert only is not None and only.slot == 0


sequences = st.lists(
    st.builds(
        lambda priority, order, remaining, busy, adapted, draft, scored: (
            priority,
            order,
            1 if busy else remaining,
            busy,
            PIRATE if adapted else (),
            tuple(range(draft)) if busy else (),
            scored and not busy,
        ),
        st.sampled_from(sorted(RANK)),
        st.integers(0, 50),
        st.integers(1, 5000),
        st.booleans(),
        st.booleans(),
        st.integers(0, 8),
        st.booleans(),
    ),
    min_size=1,
    max_size=16,
)


@given(sequences, st.integers(1, 4096), st.integers(1, 64), st.integers(0, 2 * QUANTUM_STEPS))
def test_a_plan_keeps_every_bound(raw: list[tuple], tokens: int, outputs: int, steps: int) -> None:
    running = [Running(slot, *each) for slot, each in enumerate(raw)]
    made = plan(running, LIMITS, Room(tokens, outputs), Turn((), steps))
    by_slot = {each.slot: each for each in running}
    assert made.rows, "something is always computed"
    assert sum(row.size for row in made.rows) <= tokens
    assert sum(row.outputs() for row in made.rows) <= outputs
    assert len({row.slot for row in made.rows}) == len(made.rows)
    reads = [row for row in made.rows if not by_slot[row.slot].decoding]
    assert len(reads) <= MOST_READERS
    assert sum(row.count for row in reads) <= LIMITS.chunk
    urgent = any(each.urgent for each in running)
    for row in made.rows:
        each = by_slot[row.slot]
        assert 1 <= row.count <= each.remaining
        assert row.draft == each.draft[: len(row.draft)]
        assert row.scored == each.scored
        assert each.adapters == made.turn.adapters
        assert not (urgent and each.priority == "batch")
