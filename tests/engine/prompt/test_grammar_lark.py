"""Texts, tags and parts come through a grammar exactly as they are."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.prompt.grammar import Part, assemble, grammar_of, json_schema, literal, mark, part_of
from engine.types import Constraint
from tests.engine.following import END, accepts, guide_for, guide_of


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@example(text="\x00\x01\x1f\x7f\x80\x85")
@example(text='"\\/\b\f\n\r\t')
@example(text="<[1]> %json {} @x // # i")
@example(text="\u2028\ufeff\U0010ffff😀")
def test_a_literal_matches_its_text_and_nothing_else(text: str) -> None:
    guide = guide_of(f"start: {literal(text)}")
    assert accepts(guide, text)
    assert not accepts(guide, text + "x")
    assert not accepts(guide, text[:-1])


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="half of a surrogate pair"):
        literal("a\ud83d")


def test_a_mark_is_its_token_where_the_model_has_one() -> None:
    assert mark("<end>", END) == "<[256]>"
    spelled = guide_of(f'start: "a" {mark("<end>", None)}')
    assert accepts(spelled, "a<end>")
    special = guide_of(f'start: "a" {mark("<x>", 7)} "b"')
    special.accept(ord("a"))
    assert special.allows(7)
    assert not special.allows(ord("<"))


def test_a_schema_stands_in_the_middle_of_a_rule() -> None:
    call = f'start: "<call>" {json_schema({"type": "integer"})} "</call>"'
    guide = guide_of(call)
    assert accepts(guide, "<call>42</call>")
    assert not accepts(guide, '<call>"42"</call>')


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        (Constraint(kind="json"), '{"a": [1, null]}', "[1]"),
        (Constraint(kind="schema", value={"enum": ["yes", "no"]}), '"yes"', '"maybe"'),
        (Constraint(kind="regex", value="[a-c]{2}\\d?"), "ab7", "ad"),
        (Constraint(kind="grammar", value='root ::= "(" root ")" | "x"'), "((x))", "((x)"),
        (Constraint(kind="choice", value=["red", "green"]), "green", "blue"),
    ],
)
def test_every_kind_stands_alone_and_as_a_part(constraint: Constraint, good: str, bad: str) -> None:
    alone = guide_of(grammar_of(constraint))
    assert accepts(alone, good)
    assert not accepts(alone, bad)
    part = part_of(constraint, "answer")
    assert isinstance(part, Part)
    assert part.name == "answer"
    whole = guide_of(assemble('start: "<" @answer ">"', [part]))
    assert accepts(whole, f"<{good}>")
    assert not accepts(whole, f"<{bad}>")


def test_two_parts_stand_in_one_grammar() -> None:
    parts = [
        part_of(Constraint(kind="choice", value=["a", "b"]), "first"),
        part_of(Constraint(kind="regex", value="[0-9]+"), "second"),
    ]
    guide = guide_of(assemble("start: (@first @second)+", parts))
    assert accepts(guide, "a1b22")
    assert not accepts(guide, "1a")
    with pytest.raises(ValueError, match="names of their own"):
        assemble("start: @first", [parts[0], parts[0]])


def test_a_choice_may_begin_another() -> None:
    guide = guide_for("choice", ["no", "note", "no one", "é", "a\nb"])
    for text in ("no", "note", "no one", "é", "a\nb"):
        assert accepts(guide, text)
    for text in ("not", "no ", "", "n"):
        assert not accepts(guide, text)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "There are no choices"),
        (["a", ""], "none of them empty"),
        (["a", 3], "must be a list of texts"),
        ("abc", "must be a list of texts"),
        (None, "must be a list of texts"),
        ([str(number) for number in range(2001)], "too many choices"),
        (["x" * 40_000, "y" * 40_000], "too many choices"),
        (["a\udfff"], "half of a surrogate pair"),
    ],
)
def test_wrong_choices_are_refused(value: object, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as raised:
        grammar_of(Constraint(kind="choice", value=value))
    assert raised.value.param == "constraint"
