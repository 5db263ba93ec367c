"""Edits of TOML text: the one setting changes, everything else stays byte for byte."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.settings.document import literal, put, remove

FILE = """\
# my settings
top = 1  # not ours

[ui]  # the screen
theme = "mine"   # the one I like
# animation = "none"
  follow = false

[models]
folders = [
    "/a",  # the fast disk ]
    "/b",
]

[generation]
system = '''
You are
[ui]
theme = "brief"
'''
sampling.top_p = 0.9
"""


def test_a_value_is_replaced_where_it_stands() -> None:
    assert put(FILE, "ui.theme", "other") == FILE.replace('"mine"', '"other"')
    assert put(FILE, "ui.follow", True) == FILE.replace("false", "true")
    assert put(FILE, "models.folders", ["/c"]) == FILE.replace(
        '[\n    "/a",  # the fast disk ]\n    "/b",\n]', '["/c"]'
    )
    assert tomllib.loads(put(FILE, "generation.system", "brief"))["generation"]["system"] == "brief"


def test_a_new_value_goes_to_the_end_of_its_table_in_the_way_of_the_file() -> None:
    assert put(FILE, "ui.rail", False) == FILE.replace(
        "  follow = false\n", "  follow = false\n  rail = false\n"
    )
    assert put(FILE, "generation.sampling.top_k", 40).endswith("sampling.top_p = 0.9\nsampling.top_k = 40\n")
    assert put("ui.theme = 'x'", "ui.rail", False) == "ui.theme = 'x'\nui.rail = false\n"
    assert put("[ui]\n\n[log]\n", "ui.rail", False) == "[ui]\nrail = false\n\n[log]\n"


def test_a_table_that_is_not_there_comes_last() -> None:
    assert put("", "ui.rail", False) == "[ui]\nrail = false\n"
    assert put("a = 1", "ui.rail", False) == "a = 1\n\n[ui]\nrail = false\n"
    assert put("a = 1\r\n", "ui.rail", False) == "a = 1\r\n\r\n[ui]\r\nrail = false\r\n"


def test_inline_tables_are_written_anew() -> None:
    assert put('ui = { theme = "x", rail = true }  # all\n', "ui.rail", False) == (
        'ui = { theme = "x", rail = false }  # all\n'
    )
    assert put("ui = {}\n", "ui.rail", False) == "ui = { rail = false }\n"
    assert remove('ui = { theme = "x", rail = true }\n', "ui.rail") == 'ui = { theme = "x" }\n'


def test_a_value_that_is_a_table_of_its_own_is_taken_as_one() -> None:
    text = '[generation.sampling.logit_bias]\n1 = 2.0\n"3" = 4.0\n[ui]\nrail = true\n'
    assert put(text, "generation.sampling.logit_bias", {"7": 1.5}) == (
        "[ui]\nrail = true\n\n[generation.sampling]\nlogit_bias = { 7 = 1.5 }\n"
    )
    assert remove(text, "generation.sampling.logit_bias") == "[ui]\nrail = true\n"


def test_removing_takes_the_lines_of_the_value_and_no_more() -> None:
    assert remove(FILE, "ui.theme") == FILE.replace('theme = "mine"   # the one I like\n', "", 1)
    assert 'theme = "brief"' in remove(FILE, "ui.theme")
    assert remove(FILE, "models.folders").endswith(FILE[FILE.index("[generation]") :])
    assert remove(FILE, "ui.rail") == FILE
    assert "[ui]  # the screen" in remove("[ui]  # the screen\nrail = true\n", "ui.rail")


@pytest.mark.parametrize("text", ["ui = 1\n", "[[ui]]\nrail = true\n", "ui = [1]\n"])
def test_what_cannot_be_done_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        put(text, "ui.rail", False)


# --- any document that can be written in any of TOML's ways

names = st.sampled_from(["ui", "log", "a-b", "x y", "é", 'q"', "rail", "theme"])
values = st.one_of(
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.lists(st.text(st.sampled_from("ab]#[}{,\"'\n= "), max_size=6), max_size=3),
)
tables: Any = st.dictionaries(names, values | st.dictionaries(names, values, max_size=3), max_size=4)


@st.composite
def documents(draw: Any) -> str:
    """Tables as headers, dotted keys or inline, with comments and blank lines between."""
    top, below = [], []
    for name, value in draw(tables).items():
        said = literal(name)
        gap = draw(st.sampled_from(["", "\n", "# [ui] rail = 1\n", "  "]))
        comment = draw(st.sampled_from(["", "  # rail = ]", " #"]))
        if not isinstance(value, dict):
            top.append(f"{gap}{said} = {literal(value)}{comment}\n")
            continue
        way = draw(st.sampled_from(["header", "dotted", "inline"]))
        lines = [f"{literal(inner)} = {literal(each)}{comment}\n" for inner, each in value.items()]
        if way == "header":
            below.append(f"{gap}[ {said} ]{comment}\n" + gap.join(lines))
        elif way == "dotted":
            top += [f"{gap}{said} . {line}" for line in lines]
        else:
            top.append(f"{gap}{said} = {literal(value)}{comment}\n")
    text = "".join(top + below)
    return text.removesuffix("\n") if draw(st.booleans()) else text


@given(documents(), st.sampled_from(["ui.rail", "ui.theme", "log.rail", "new.table.rail"]), values)
def test_whatever_the_file_looks_like_only_the_setting_changes(text: str, key: str, value: Any) -> None:
    before = tomllib.loads(text)
    table, _, name = key.rpartition(".")
    try:
        after = put(text, key, value)
    except ValueError:
        assert not isinstance(before.get(key.split(".")[0], {}), dict), "only a plain value may be in the way"
        return
    found: Any = tomllib.loads(after)
    for part in table.split("."):
        found = found[part]
    assert found[name] == value
    assert put(after, key, value) == after
    lines = after.splitlines()
    inline = any("{" in line and line.split("=")[0].strip().strip('"') == table for line in text.splitlines())
    if not inline and key.split(".")[0] not in before:
        kept = [line for line in text.splitlines() if line in lines]
        assert kept == text.splitlines()
    gone: Any = tomllib.loads(remove(after, key))
    for part in table.split("."):
        gone = gone.get(part, {})
    assert name not in gone


@given(
    values
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), values, max_size=3)
)
def test_literals_are_read_back_as_they_were(value: Any) -> None:
    assert tomllib.loads(f"x = {literal(value)}")["x"] == value
