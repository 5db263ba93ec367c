"""From a `Constraint` of a request to a grammar: alone, or as a part that a larger grammar refers to."""

from __future__ import annotations

from typing import Any

from engine.prompt.grammar import gbnf, patterns
from engine.prompt.grammar.lark import Part, assemble, literal
from engine.prompt.grammar.limits import LONGEST, MOST_VALUES, invalid
from engine.prompt.grammar.schema import json_schema
from engine.types import Constraint


def grammar_of(constraint: Constraint) -> str:
    """The grammar whose texts are those that `constraint` allows.

    Raises InvalidRequest for a constraint that is wrong or beyond the caps, Unsupported for what cannot be held.
    """
    return assemble(_rules(constraint))


def part_of(constraint: Constraint, name: str) -> Part:
    """`constraint` as a grammar that a larger one refers to as `@name`; raises as `grammar_of`."""
    return Part(name, {"name": name, "lark_grammar": _rules(constraint)})


def _rules(constraint: Constraint) -> str:
    value = constraint.value
    match constraint.kind:
        case "text":
            return "start: /(.|\\n)*/"
        case "json":
            return f"start: {json_schema({'type': 'object'})}"
        case "schema":
            return f"start: {json_schema(value, strict=constraint.strict)}"
        case "regex":
            return f"start: /{patterns.whole(_text(value, 'regular expression'))}/"
        case "grammar":
            return gbnf.to_lark(_text(value, "grammar"))
        case "choice":
            # One lexeme for all: as several, a choice that begins another would keep it from being finished.
            return f"start: CHOICE\nCHOICE: {' | '.join(map(literal, _choices(value)))}"


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"The {what} must be text.", f"It is {value!r:.40}.")
    return value


def _choices(value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) and each for each in value):
        raise invalid("The choices must be a list of texts, none of them empty.", f"They are {value!r:.60}.")
    choices = list(dict.fromkeys(value))
    if not choices:
        raise invalid("There are no choices.", "Output could only be empty.", "Give at least one.")
    if len(choices) > MOST_VALUES or sum(map(len, choices)) > LONGEST:
        raise invalid(
            "There are too many choices.", f"{MOST_VALUES:,} are allowed, of {LONGEST:,} characters together."
        )
    return choices
