"""Stand-in for the constraint language until its own branch is merged: only what the forms of answers are built on."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec import Struct

from engine.errors import Unsupported
from engine.types import Constraint, Json


class Part(Struct, frozen=True):
    """A grammar of its own that a main grammar refers to as `@name`."""

    name: str
    grammar: dict[str, Json]


def literal(text: str) -> str:
    """`text` as a Lark string."""
    return json.dumps(text, ensure_ascii=False)


def mark(text: str, token: int | None) -> str:
    """A tag: the special token that it is, else its text."""
    return literal(text) if token is None else f"<[{token}]>"


def json_schema(schema: Json, *, strict: bool = True) -> str:
    """A JSON value of `schema`, as a Lark fragment. Raises Unsupported for what a grammar cannot express."""
    text = json.dumps(schema, ensure_ascii=False)
    for keyword in ("not", "if", "dependentSchemas", "unevaluatedProperties"):
        if f'"{keyword}":' in text:
            raise Unsupported(f"A grammar cannot express the keyword {keyword}.", param="constraint")
    return f"%json {text}"


def part_of(constraint: Constraint, name: str) -> Part:
    """The grammar of a constraint, to be referred to by `name`."""
    if constraint.kind == "json":
        return Part(name, {"name": name, "json_schema": {"type": "object"}})
    if constraint.kind == "schema":
        return Part(name, {"name": name, "json_schema": constraint.value})
    if constraint.kind == "choice":
        return Part(
            name, {"name": name, "lark_grammar": "start: " + " | ".join(map(literal, constraint.value))}
        )
    return Part(name, {"name": name, "lark_grammar": f"start: /{constraint.value}/"})


def assemble(main_lark: str, parts: Sequence[Part] = ()) -> str:
    """The whole grammar as llguidance reads it."""
    grammars = [{"name": "main", "lark_grammar": main_lark}, *(part.grammar for part in parts)]
    return json.dumps({"grammars": grammars}, ensure_ascii=False)


def grammar_of(constraint: Constraint) -> str:
    """The grammar of a constraint that stands alone."""
    return assemble("start: @content", [part_of(constraint, "content")])
