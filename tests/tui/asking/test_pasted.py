"""What terminals make of a file that is dropped on them is read back, whatever the file is called."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.asking.pasted import readings, typed

letters = st.characters(
    exclude_characters="\0\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029/", exclude_categories=("Cs",)
)
names = st.text(letters, min_size=1, max_size=12)
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


def escaped(path: str) -> str:
    """As Terminal.app, iTerm2 and kitty write it."""
    return re.sub(r"([^A-Za-z0-9_/.\-])", r"\\\1", path)


def double_quoted(path: str) -> str:
    return '"' + re.sub(r'(["\\$`])', r"\\\1", path) + '"'


def address(path: str) -> str:
    return PurePosixPath(path).as_uri()


WAYS = (shlex.quote, escaped, double_quoted)
ends = st.sampled_from(["", " ", "\n", "\r\n"])


@given(paths, st.sampled_from(WAYS), ends)
def test_a_path_in_any_writing_comes_back(path: str, way, end: str) -> None:
    assert [path] in readings(way(path) + end)


@given(paths, ends)
def test_an_address_comes_back(path: str, end: str) -> None:
    normal = str(PurePosixPath(path))
    assert [normal] in readings(address(normal) + end)


@given(st.lists(paths, min_size=2, max_size=4), st.lists(st.sampled_from(WAYS), min_size=4, max_size=4))
def test_several_come_back_in_their_order(several: list[str], ways) -> None:
    text = " ".join(way(path) for way, path in zip(ways, several, strict=False))
    assert several in readings(text)


@given(paths.filter(lambda path: path == path.strip()))
def test_a_bare_path_is_read_as_it_stands_first(path: str) -> None:
    assert readings(path)[0] == [path]


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error_and_paths_look_like_paths(text: str) -> None:
    for reading in readings(text):
        assert reading and all(path.startswith(("/", "~/", "./", "../")) for path in reading)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "What is this?",
        "see /tmp/a.png",
        "'/tmp/a.png",
        "https://example.org/a.png",
        "file://far.example/a.png",
        "a.png",
        "/a\0b",
        "/x" * 5000,
    ],
)
def test_other_texts_are_no_paths(text: str) -> None:
    assert [reading for reading in readings(text) if not reading[0].startswith("'")] == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:///tmp/a%20b.png", "/tmp/a b.png"),
        ("file://localhost/tmp/a.png\n", "/tmp/a.png"),
        ("~/Pictures/a.png ", "~/Pictures/a.png"),
        ("'/tmp/it'\\''s.png' ", "/tmp/it's.png"),
        ("/tmp/two\\ words.png", "/tmp/two words.png"),
        ("/tmp/two words.png", "/tmp/two words.png"),
    ],
)
def test_what_terminals_write(text: str, path: str) -> None:
    assert [path] in readings(text)


@given(names.filter(lambda name: name == name.strip()), st.sampled_from([*WAYS, str]))
def test_a_typed_path_is_among_what_it_may_be_relative_ones_too(name: str, way) -> None:
    assert name in typed(way(name)) and typed(way(name))[0] == way(name).strip()
