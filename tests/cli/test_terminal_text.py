"""What a terminal gets of a model's text: nothing that could steer it, wherever the stream is cut."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from engine.text_safety import clean, plain

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


@given(ANY_TEXT)
def test_no_control_code_is_left(text: str) -> None:
    kept = clean(text)
    assert not [c for c in kept if unicodedata.category(c) == "Cc" and c not in "\t\n"]
    assert not [
        c
        for c in kept
        if unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI"}
    ]
    kept.encode()


@given(ANY_TEXT, ANY_TEXT)
def test_cutting_a_stream_changes_nothing(first: str, second: str) -> None:
    assert clean(first) + clean(second) == clean(first + second)


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=80))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert clean(text) == text


@given(ANY_TEXT, st.integers(1, 30))
def test_a_name_is_one_short_line(text: str, limit: int) -> None:
    line = plain(text, limit)
    assert len(line) <= limit
    assert "\n" not in line
