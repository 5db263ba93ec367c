"""Fragments of Lark, the language of llguidance's grammars, and how grammars are put together from parts.

A grammar is one Lark text, or a JSON list whose first entry refers to the others by `@name`. The syntax is that of
llguidance's docs/syntax.md: strings as in JSON, `<[id]>` for the token of that id, `%json` for an inline schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from engine.prompt.grammar.limits import invalid

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


class Part(Struct, frozen=True):
    """A named grammar that another one refers to as `@name`; `grammar` is its entry in the list."""

    name: str
    grammar: Mapping[str, Any]


def literal(text: str) -> str:
    """A Lark string that matches exactly `text`. Raises InvalidRequest for a lone surrogate, which no output holds."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise invalid("The constraint holds half of a surrogate pair.", "It is no character of UTF-8.")
    # JSON lets DEL stand as it is, Lark does not.
    return json.dumps(text).replace("\x7f", "\\u007f")


def mark(text: str, token: int | None) -> str:
    """A fragment for a tag such as `<think>`: its token where the model has one for it, else its letters."""
    return literal(text) if token is None else f"<[{token}]>"


def assemble(main: str, parts: Sequence[Part] = ()) -> str:
    """The grammar whose rules are the Lark text `main`, which refers to `parts` by their names."""
    if not parts:
        return main
    names = [part.name for part in parts]
    if len(set(names)) != len(names) or not all(_NAME.fullmatch(name) for name in names):
        raise ValueError(f"Parts need names of their own, of letters, digits, - and _: {names}.")
    return json.dumps({"grammars": [{"lark_grammar": main}, *(dict(part.grammar) for part in parts)]})
