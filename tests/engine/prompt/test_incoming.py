"""Text that comes in pieces is read as if it were whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.prompt.extent import Extent
from engine.prompt.incoming import Incoming, Step
from engine.prompt.json_object import checked_object

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read(step: Step[Any], incoming: Incoming, pieces: list[str]) -> Any:
    """What the step gives for the text in those pieces, and what it leaves unread."""
    waiting = iter([*pieces, None])
    while True:
        try:
            part = next(step)
        except StopIteration as ended:
            return ended.value, incoming.rest + "".join(piece for piece in waiting if piece is not None)
        assert part is None
        piece = next(waiting)
        if piece is None:
            incoming.end()
        else:
            incoming.feed(piece)


@given(
    json_values,
    st.sampled_from(["", "}", "]}", " ,", "\n</tool_call>", '"more"']),
    st.booleans(),
    st.integers(1, 5),
)
def test_the_extent_of_a_json_value_is_found_however_it_is_cut(
    value: Any, after: str, ascii: bool, size: int
) -> None:
    text = json.dumps(value, ensure_ascii=ascii)
    if after.startswith('"') and text[-1] not in '"}]':
        after = ""
    whole = text + after
    extent, taken = Extent(), 0
    for place in range(0, len(whole), size):
        piece = whole[place : place + size]
        taken += extent.take(piece)
        if extent.done:
            break
    assert taken == len(text)
    assert extent.done or (extent.open_ended and not after)


@given(json_values, st.integers(1, 5))
def test_json_is_read_to_its_end(value: Any, size: int) -> None:
    text = json.dumps(value)
    pieces = [(text + ", x")[place : place + size] for place in range(0, len(text) + 3, size)]
    incoming = Incoming()
    assert read(incoming.json_text(), incoming, pieces) == (text, ", x")
    incoming = Incoming()
    found, rest = read(incoming.json_string(), incoming, pieces)
    assert (found, rest) == ((value, ", x") if isinstance(value, str) else (None, text + ", x"))


@pytest.mark.parametrize(
    ("literal", "text", "rest"),
    [
        ("<a>\n{", "<a> \n\n {x", "x"),
        ("<a>\n{", "<a>{x", "x"),
        (" , ", "\n,\n\nx", "x"),
        ("ab", "abc", "c"),
    ],
)
def test_white_space_in_a_literal_is_loose(literal: str, text: str, rest: str) -> None:
    for pieces in ([text], list(text)):
        incoming = Incoming()
        assert read(incoming.literal(literal), incoming, pieces) == (True, rest)


def test_what_is_not_there_is_left_unread() -> None:
    for text in ("<ac>", "<a", "", "x"):
        incoming = Incoming()
        assert read(incoming.literal("<ab>"), incoming, list(text)) == (False, text)


def test_what_was_recorded_can_be_given_out_as_it_was() -> None:
    incoming = Incoming()
    incoming.feed("  <a> {")
    incoming.record()
    assert read(incoming.literal(" <a> "), incoming, []) == (True, "{")
    assert incoming.recorded() == "  <a> "
    assert incoming.recorded() == ""


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_an_object_is_one(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    assert checked_object(text) == text
    assert checked_object(f"[{text}]") is None and checked_object(text[:-1]) is None


def test_a_line_break_in_a_string_is_mended_and_a_number_that_is_none_is_not() -> None:
    assert checked_object('{"a": "x\ny\t"}') == '{"a": "x\\ny\\t"}'
    for text in (
        '{"a": NaN}',
        '{"a": -Infinity}',
        "{'a': 1}",
        '{"a": ' + "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
    ):
        assert checked_object(text) is None
