"""Incremental UTF-8 and stop strings against naive references, with tokens cut anywhere."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.worker.text import StopStrings, Utf8


def portions(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(edges)]


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(edges)]


cuts = st.lists(st.integers(0, 1000), max_size=20)


@given(st.text(), cuts)
def test_valid_text_arrives_whole_and_never_as_replacement_characters(text: str, at: list[int]) -> None:
    utf8 = Utf8()
    shown = [utf8.feed(portion) for portion in portions(text.encode(), at)]
    assert "".join(shown) + utf8.flush() == text
    if "�" not in text:
        assert not any("�" in part for part in shown)


@given(st.binary(max_size=60), cuts)
def test_any_bytes_become_the_same_text_however_they_are_cut(data: bytes, at: list[int]) -> None:
    utf8 = Utf8()
    shown = "".join(utf8.feed(portion) for portion in portions(data, at)) + utf8.flush()
    assert shown == data.decode("utf-8", "replace")


def first_stop(text: str, stops: list[str]) -> tuple[str, str | None]:
    """The reference: look at every end from the left; of the stops that end there, the longest."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            longest = max(found, key=len)
            return text[: end - len(longest)], longest
    return text, None


few = st.text(alphabet="ab\n", min_size=1, max_size=4)


@given(st.text(alphabet="ab\n", max_size=40), st.lists(few, max_size=4), cuts)
def test_stop_strings_are_found_across_any_borders(text: str, stops: list[str], at: list[int]) -> None:
    scanner = StopStrings(stops)
    shown, hit = "", None
    for piece in pieces(text, at):
        free, hit = scanner.feed(piece)
        shown += free
        if hit is not None:
            break
    else:
        shown += scanner.flush()
    assert (shown, hit) == first_stop(text, stops)


@given(st.text(alphabet="ab\n", max_size=40), st.lists(few, min_size=1, max_size=4))
def test_no_more_is_held_back_than_could_become_a_stop_string(text: str, stops: list[str]) -> None:
    scanner = StopStrings(stops)
    shown = ""
    for position, letter in enumerate(text):
        free, hit = scanner.feed(letter)
        shown += free
        if hit is not None:
            return
        held = text[len(shown) : position + 1]
        assert held == "" or any(stop.startswith(held) for stop in stops)
