"""JSON in lines, as it comes: nothing is lost, nothing shown before changes, and JSON stays the JSON it was."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.telling.json_layout import JsonLayout, laid_out

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
CONTAINER = JSON.filter(lambda value: isinstance(value, dict | list))
CUTS = st.lists(st.integers(0, 400), max_size=12)
ANYTHING = st.text(alphabet='{}[],:"\\ \n\tab1', max_size=120)


def cut(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(min(at, len(text)) for at in cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@given(CONTAINER, st.sampled_from([None, 1, 4]))
def test_json_means_the_same_in_lines(value: object, indent: int | None) -> None:
    assert json.loads(laid_out(json.dumps(value, indent=indent))) == value


@given(ANYTHING)
def test_of_any_text_only_white_space_is_changed(text: str) -> None:
    assert re.sub(r"\s", "", laid_out(text)) == re.sub(r"\s", "", text)


@given(ANYTHING | CONTAINER.map(json.dumps), CUTS)
def test_what_was_shown_does_not_change_with_what_comes(text: str, cuts: list[int]) -> None:
    layout = JsonLayout()
    shown = ""
    for piece in cut(text, cuts):
        shown += layout.feed(piece)
    assert shown == laid_out(text)


@given(st.text().filter(lambda text: not text.lstrip().startswith(("{", "["))))
def test_a_text_that_is_no_container_is_left_as_it_is(text: str) -> None:
    assert laid_out(text) == (text if text.strip() else "")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            '{"a":1,"b":[2,{}],"c":"x, {y}"}',
            ["{", '  "a": 1,', '  "b": [', "    2,", "    {}", "  ],", '  "c": "x, {y}"', "}"],
        ),
        ("{ }", ["{}"]),
        ('{"a": "b\\"c', ["{", '  "a": "b\\"c']),
        ("[1 2, tr ue]", ["[", "  1 2,", "  tr ue", "]"]),
        ('{"a": 1}}} x', ["{", '  "a": 1', "}}} x"]),
    ],
)
def test_lines_are_indented_by_depth(text: str, lines: list[str]) -> None:
    assert laid_out(text).split("\n") == lines
