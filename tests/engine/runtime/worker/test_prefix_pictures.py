"""Prefixes with pictures in them: what is kept and found of them is whole pictures."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.backends.media import FIRST, numbers
from engine.runtime.worker.prefix import PrefixTree, whole_pictures


@st.composite
def prompts(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int]]]:
    """Tokens, and where pictures begin and end among them."""
    tokens: list[int] = []
    spans = []
    for _ in range(draw(st.integers(1, 6))):
        tokens += draw(st.lists(st.integers(0, 100), max_size=4))
        if draw(st.booleans()):
            made = numbers(draw(st.binary(min_size=1, max_size=4)), draw(st.integers(1, 9)))
            spans.append((len(tokens), len(tokens) + len(made)))
            tokens += made
    return tokens, spans


@given(prompts(), st.integers(0, 60))
def test_a_cut_is_moved_before_the_picture_that_it_would_split(
    prompt: tuple[list[int], list[tuple[int, int]]], count: int
) -> None:
    tokens, spans = prompt
    count = min(count, len(tokens))
    inside = [begin for begin, end in spans if begin < count < end]
    assert whole_pictures(np.array(tokens, np.int32), count) == (inside[0] if inside else count)


@given(st.binary(max_size=40), st.integers(1, 300))
def test_numbers_of_a_picture_say_where_it_begins(key: bytes, count: int) -> None:
    made = numbers(key, count)
    assert len(made) == count and made == numbers(key, count + 5)[:count]
    assert FIRST <= made[0] < 0
    assert all(-(2**31) <= number < FIRST for number in made[1:])


def test_a_holder_that_gives_up_its_tail_keeps_whole_pictures() -> None:
    tree = PrefixTree()
    tokens = [1, 2, 3, *numbers(b"picture", 20), 4, 5]
    tree.add("root", tokens, 7)
    assert [(cut.holder, cut.count) for cut in tree.evict(5)] == [(7, 3)]
    assert tree.length(7) == 3
