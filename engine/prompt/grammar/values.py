"""Checks of what stands behind the words of a JSON Schema: texts, numbers, names, constant values.

Each takes the value and its place (a JSON pointer), gives it back in the form that the library wants, and raises
InvalidRequest for what is no schema, Unsupported for what generated JSON could not hold exactly.
"""

from __future__ import annotations

import math
from typing import Any, Final

from engine.prompt.grammar import keywords
from engine.prompt.grammar.limits import DEEPEST_SCHEMA, check_count, invalid, unsupported

_EXACT: Final = 2**53
"""Whole numbers up to here are exact as doubles, which the library computes with."""


def step(name: Any) -> str:
    """`name` as a step of a JSON pointer (RFC 6901)."""
    return str(name).replace("~", "~0").replace("/", "~1")


def bound(word: str, value: Any, place: str) -> int | float:
    """The number that a word such as `minimum` gives."""
    if not _is_number(value):
        raise invalid(f"`{word}` at {place} must be a number.", f"It is {value!r:.40}.")
    if word == "multipleOf" and value <= 0:
        raise invalid(f"`multipleOf` at {place} must be more than 0.", f"It is {value}.")
    return _exact(value, place)


def count(word: str, value: Any, place: str) -> int:
    """The whole number that a word such as `minLength` gives; 2.0 is one."""
    if not _is_number(value) or value != math.floor(value) or value < 0:
        raise invalid(f"`{word}` at {place} must be a whole number, at least 0.", f"It is {value!r:.40}.")
    check_count(int(value), f"`{word}` at {place}")
    return int(value)


def types(value: Any, place: str) -> list[str]:
    """The names of a `type`."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise invalid(f"`type` at {place} must be a name or a list of names.", f"It is {value!r:.40}.")
    for name in names:
        if name not in keywords.TYPES:
            raise invalid(
                f"The type {name!r:.40} at {place} is unknown.", f"Known are {', '.join(keywords.TYPES)}."
            )
    return list(names)


def names(value: Any, place: str) -> list[str]:
    """The names of a `required`."""
    if not isinstance(value, list | tuple):
        raise invalid(f"`required` at {place} must be a list of names.", f"It is {value!r:.40}.")
    return [text(name, place) for name in value]


def text(value: Any, place: str) -> str:
    """Text that generated JSON can hold."""
    if not isinstance(value, str):
        raise invalid(f"There must be text at {place}.", f"It is {value!r:.40}.")
    if any((letter < " " and letter not in "\b\t\n\f\r") or letter == "\x7f" for letter in value):
        raise unsupported(
            f"The text at {place} holds a control character.",
            "Generated JSON has none but tab and line ends.",
        )
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise invalid(f"The text at {place} holds half of a surrogate pair.", "It is no character of UTF-8.")
    return value


def constant(value: Any, place: str, depth: int = 1) -> Any:
    """A value that a `const` or `enum` names."""
    if depth > DEEPEST_SCHEMA:
        raise invalid(f"The value at {place} is nested too deeply.", f"It may be {DEEPEST_SCHEMA} deep.")
    if isinstance(value, str):
        return text(value, place)
    if _is_number(value):
        return _exact(value, place)
    if isinstance(value, list | tuple):
        check_count(len(value), f"The list at {place}")
        return [constant(each, f"{place}/{index}", depth + 1) for index, each in enumerate(value)]
    if isinstance(value, dict):
        return {
            text(name, place): constant(each, f"{place}/{step(name)}", depth + 1)
            for name, each in value.items()
        }
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _exact(value: float, place: str) -> int | float:
    """`value`, whole numbers as int, if the library computes with it exactly."""
    if value != math.floor(value):
        return value
    if abs(value) > _EXACT:
        raise unsupported(
            f"The number at {place} is too large to be held exactly: {value!r:.40}.",
            "Whole numbers go up to 2^53.",
        )
    return int(value)
