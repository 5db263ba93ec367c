"""What an answer must look like, as people write it: JSON, a schema, a regular expression, a choice, a grammar.

What the words mean is checked here as far as it can be read wrong; whether a schema or a grammar can be followed
is for the engine to say.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, get_args

from engine.errors import InvalidRequest
from engine.types import Constraint
from tui.asking.files import text_of

Kind = Literal["json", "schema", "regex", "choice", "grammar"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FROM_A_FILE = frozenset({"schema", "grammar"})
"""Kinds whose text is a file's name. A schema may also be written out."""
BETWEEN_CHOICES = "|"
LARGEST_FILE = 1024 * 1024


def constraint(kind: Kind, text: str, folder: Path) -> Constraint:
    """The constraint that `text` spells: a file, a pattern, choices with `|` between them; nothing for JSON.

    Raises InvalidRequest for a file that cannot be read, a schema that is no JSON object, and for nothing at all.
    """
    text = text.strip()
    if kind == "json":
        return Constraint(kind="json")
    if not text:
        raise InvalidRequest(f"A constraint of kind {kind} needs {_wanted(kind)}.", param=kind)
    if kind == "regex":
        return Constraint(kind="regex", value=text)
    if kind == "choice":
        return choices([part.strip() for part in text.split(BETWEEN_CHOICES)])
    if kind == "schema" and text.startswith("{"):
        return Constraint(kind="schema", value=_object(text, "The schema"))
    file = text_of(text, folder, largest=LARGEST_FILE)
    if kind == "schema":
        return Constraint(kind="schema", value=_object(file.text, f"The schema {text!r}"))
    return Constraint(kind="grammar", value=file.text)


def choices(texts: list[str]) -> Constraint:
    """The constraint to one of `texts`. Raises InvalidRequest if one of them is empty or there twice."""
    if not all(texts) or len(set(texts)) < len(texts):
        raise InvalidRequest(
            "The choices cannot be told apart.",
            "One of them is empty or there twice.",
            f"Write them as in: yes {BETWEEN_CHOICES} no",
            param="choice",
        )
    return Constraint(kind="choice", value=texts)


def _wanted(kind: Kind) -> str:
    return {
        "schema": "a file with a JSON Schema",
        "regex": "a regular expression",
        "choice": "texts to choose from",
        "grammar": "a file with a grammar in GBNF",
    }[kind]


def _object(text: str, what: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{what} is not JSON.", f"{error}.", param="schema") from None
    if not isinstance(value, dict):
        raise InvalidRequest(
            f"{what} is not a JSON object.", f"It is of the type {type(value).__name__}.", param="schema"
        )
    return value
