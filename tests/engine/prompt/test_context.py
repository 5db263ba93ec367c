"""A conversation is cut at its oldest turns, no more than needed, and what was cut is said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ContextOverflow
from engine.prompt import fit, prompt_limit
from engine.types import Message


def size(messages: Sequence[Message]) -> int:
    return 3 + sum(4 + len(message.text) for message in messages)


def turn(text: str) -> list[Message]:
    return [Message(role="user", content=text), Message(role="assistant", content=text.upper())]


talks = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["system", "user", "user", "assistant", "assistant", "tool"]),
        content=st.text("abc", max_size=30),
    ),
    min_size=1,
    max_size=30,
)


@given(talks, st.integers(0, 600))
def test_what_fits_is_kept_and_no_more_is_dropped_than_needed(talk: list[Message], limit: int) -> None:
    try:
        fitted = fit(talk, limit, size)
    except ContextOverflow:
        starts = [index for index, message in enumerate(talk) if message.role == "user"]
        last = starts[-1] if starts else 0
        least = [m for index, m in enumerate(talk) if index >= last or m.role == "system"]
        assert size(least) > limit
        return
    kept = list(fitted.messages)
    assert fitted.prompt_tokens == size(kept) <= limit
    assert fitted.dropped_messages == len(talk) - len(kept)
    assert fitted.dropped_tokens == size(talk) - size(kept)
    assert kept[-1] is talk[-1]
    assert [m for m in kept if m.role == "system"] == [m for m in talk if m.role == "system"]
    spoken = [m for m in talk if m.role != "system"]
    kept_spoken = [m for m in kept if m.role != "system"]
    assert kept_spoken == spoken[len(spoken) - len(kept_spoken) :]
    if fitted.dropped_messages:
        assert kept_spoken[0].role == "user"
        dropped = spoken[: len(spoken) - len(kept_spoken)]
        back = max((i for i, m in enumerate(dropped) if m.role == "user"), default=0)
        assert size([*kept, *dropped[back:]]) > limit, "one turn more would not have fitted"


def test_count_is_called_a_few_times_only() -> None:
    talk = [message for number in range(1000) for message in turn(f"question {number:04}")]
    calls = 0

    def counted(messages: Sequence[Message]) -> int:
        nonlocal calls
        calls += 1
        return size(messages)

    fitted = fit(talk, 5000, counted)
    assert fitted.dropped_messages > 0
    assert calls <= 13


def test_tool_results_leave_with_the_turn_that_asked_for_them() -> None:
    talk = [
        Message(role="system", content="s"),
        Message(role="user", content="x" * 50),
        Message(role="assistant", content=""),
        Message(role="tool", content="y" * 50),
        Message(role="assistant", content="z"),
        *turn("last"),
    ]
    fitted = fit(talk, 60, size)
    assert [message.role for message in fitted.messages] == ["system", "user", "assistant"]
    assert fitted.dropped_messages == 4


def test_a_conversation_that_fits_is_left_alone() -> None:
    talk = turn("hello")
    assert fit(talk, size(talk), size).messages == tuple(talk)


def test_overflow_names_prompt_and_room() -> None:
    with pytest.raises(ContextOverflow, match=r"1,007 tokens.*room for 500"):
        fit([Message(role="user", content="x" * 1000)], 500, size)
    with pytest.raises(ContextOverflow, match=r"conversation is too long"):
        fit([*turn("x" * 400), *turn("y" * 400)], 1000, size, "refuse")


@given(st.integers(8, 100_000), st.integers(0, 100_000), st.none() | st.integers(1, 100_000))
def test_the_answer_gets_its_room_and_the_prompt_at_least_half(
    window: int, reserve: int, most: int | None
) -> None:
    limit = prompt_limit(window, reserve, most)
    assert limit >= window // 2
    assert window - limit <= reserve and (most is None or window - limit <= most)
    assert window - limit == min(reserve, window // 2, reserve if most is None else most)
