"""A regular expression means here what JavaScript and Python agree on; Python's own engine is the oracle."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidRequest, Unsupported
from engine.prompt.grammar import grammar_of
from engine.types import Constraint
from tests.engine.following import accepts, guide_for
from tests.tiers import examples


@st.composite
def patterns(draw: st.DrawFn, depth: int = 0) -> str:
    """Patterns over a few letters, without anchors."""
    atoms = st.sampled_from(
        ["a", "b", "é", "1", "_", " ", "-", ".", r"\.", r"\d", r"\w", r"\D", r"\W", r"\s", r"\S", "[ab]", "[^a]",
         r"[\w-]", r"[^\d_]", r"[a-c1-3]", "[&b]", "[.-]", r"\x61", r"\u00e9", "]", "}", r"[\]\\]"]
    )  # fmt: skip
    found = []
    for _ in range(draw(st.integers(0, 4))):
        if depth < 2 and draw(st.integers(0, 4)) == 0:
            inner = "|".join(draw(patterns(depth + 1)) for _ in range(draw(st.integers(1, 2))))
            found.append(draw(st.sampled_from(["(", "(?:"])) + inner + ")")
        else:
            found.append(draw(atoms))
        found[-1] += draw(st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "*?", "+?"]))
    return "".join(found)


texts = st.text(st.sampled_from("ab1_ é-.&[]}\\c"), max_size=6)


@settings(max_examples=examples(150))
@given(pattern=patterns(), data=st.data())
def test_a_pattern_matches_as_in_python(pattern: str, data: st.DataObject) -> None:
    whole = guide_for("regex", f"(?:{pattern})")
    part = guide_for("schema", {"type": "string", "pattern": pattern})
    anchored = guide_for("schema", {"type": "string", "pattern": f"^(?:{pattern})|{pattern}$"})
    compiled = re.compile(pattern, re.ASCII)
    for text in data.draw(st.lists(texts, min_size=5, max_size=10)):
        assert accepts(whole, text) is bool(compiled.fullmatch(text)), (pattern, text)
        quoted = '"' + text.replace("\\", "\\\\") + '"'
        assert accepts(part, quoted) is bool(compiled.search(text)), (pattern, text)
        begins_or_ends = compiled.match(text) or re.search(f"(?:{pattern})\\Z", text, re.ASCII)
        assert accepts(anchored, quoted) is bool(begins_or_ends), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^abc$", "abc", "abcd"),
        ("^a|b$", "b", "ab"),
        ("a{", "a{", "a"),
        ('{"a": \\d}', '{"a": 1}', '{"a": }'),
        (r"\p{Lu}\p{Script=Greek}[\p{L}\d]", "Ñβ4", "ñβ4"),
        (r"\u{1F600}|\uD83D\uDE01", "😁", "\ufffd"),
        (r"\t\f\v\r\0", "\t\f\v\r\0", "tfvr0"),
        (r"[\b]", "\b", "b"),
        ("(?<year>\\d{4})-(?P<day>\\d)", "2024-1", "2024-"),
        ("/etc/[^/]+", "/etc/x", "/etc/a/b"),
        (".+", "a\x85b", "a\u2028b"),
        (r"\s", "\ufeff", "\x85"),
        ("[^\\s\\S]|x", "x", "y"),
        ("a#b c", "a#b c", "a"),
        # The library would take these for an intersection, a difference and a class in a class.
        ("[a&&b]+", "&a&b", "c"),
        ("[a-c--b]", "b", "d"),
        ("[[:a]+", "[:a", "b"),
    ],
)
def test_what_engines_write_differently(pattern: str, good: str, bad: str) -> None:
    guide = guide_for("regex", pattern)
    assert accepts(guide, good)
    assert not accepts(guide, bad)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("a(?=b)", "looking around"),
        ("a(?!b)", "looking around"),
        ("(?<=a)b", "looking around"),
        ("(?<!a)b", "looking around"),
        ("(?i)a", "`(?i`"),
        ("(?i:a)", "`(?i`"),
        (r"(a)\1", "a reference to a group"),
        (r"(?<x>a)\k<x>", "a reference to a group"),
        (r"\bword", "a word boundary"),
        (r"a\B", "a word boundary"),
        (r"\Aa", r"the escape `\A`"),
        (r"a\Z", r"the escape `\Z`"),
        ("a^b", "an anchor in the middle"),
        ("a$b", "an anchor in the middle"),
        ("(^a|b)", "an anchor in the middle"),
        ("(a$)", "an anchor in a group"),
        ("a*+", "a possessive repetition"),
    ],
)
def test_what_no_automaton_holds_is_refused_by_name(pattern: str, said: str) -> None:
    for constraint in (
        Constraint(kind="regex", value=pattern),
        Constraint(kind="schema", value={"properties": {"a/b": {"pattern": pattern}}}),
    ):
        with pytest.raises(Unsupported) as raised:
            grammar_of(constraint)
        assert said in raised.value.what
        assert raised.value.param == "constraint"
    assert "at /properties/a~1b/pattern" in raised.value.what


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "is empty"),
        ("(a", "a group is not closed"),
        ("a)", "`)` closes nothing"),
        ("[a", "a class is not closed"),
        ("[]", "a class is empty"),
        ("[z-a]", "runs backwards"),
        ("*a", "nothing for `*` to repeat"),
        ("a{3,2}", "a repetition runs backwards"),
        ("a{5000}", "too large: 5,000"),
        ("a\\", "a backslash ends it"),
        ("\\ud83d", "half of a surrogate pair"),
        ("\\ud83d\\udcZZ", "half of a surrogate pair"),
        ("\\u{110000}", "beyond the last code point"),
        ("(" * 101 + "a" + ")" * 101, "nested deeper than 100"),
        ("(" * 50_000 + "a" + ")" * 50_000, "too long"),
        ("|" * 5_001, "more than 5,000 alternatives"),
        (7, "must be text"),
    ],
)
def test_what_is_no_pattern_is_refused_with_its_place(pattern: object, said: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        grammar_of(Constraint(kind="regex", value=pattern))
    assert said in str(raised.value)
    assert raised.value.param == "constraint"
