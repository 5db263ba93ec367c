from __future__ import annotations

import itertools
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from engine.text_safety import FORBIDDEN_RANGES, clean, plain

FORBIDDEN = sorted({point for low, high in FORBIDDEN_RANGES for point in range(low, high + 1)})
HOSTILE = st.lists(
    st.one_of(st.text(max_size=5), st.sampled_from(FORBIDDEN).map(chr), st.sampled_from("\t\n\r\x1b]0;\x07"))
).map("".join)


def test_every_forbidden_code_point_goes_and_nothing_else() -> None:
    assert clean("".join(map(chr, FORBIDDEN))) == ""
    kept = "".join(map(chr, sorted(set(range(0x11_0000)) - set(FORBIDDEN))))
    assert clean(kept) == kept


def test_no_control_character_but_tab_and_newline_survives() -> None:
    survivors = {c for c in map(chr, range(0x11_0000)) if unicodedata.category(c) == "Cc" and clean(c)}
    assert survivors == {"\t", "\n"}


def test_escape_sequences_are_harmless_text() -> None:
    assert clean("a\x1b]0;title\x07b\x1b[2J\x9b31mc\r\n") == "a]0;titleb[2J31mc\n"


@given(HOSTILE, st.lists(st.integers(0, 200)))
def test_cutting_the_text_anywhere_changes_nothing(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    assert "".join(map(clean, pieces)) == clean(text)


@given(HOSTILE)
def test_a_plain_name_is_one_clean_line(text: str) -> None:
    name = plain(text)
    assert "\n" not in name and "\t" not in name
    assert name == name.strip() == clean(name)


def test_a_long_name_ends_in_an_ellipsis() -> None:
    assert plain("a  b\n\tc") == "a b c"
    assert plain("abcdef", limit=4) == "abc…"
    assert plain("abcd", limit=4) == "abcd"
