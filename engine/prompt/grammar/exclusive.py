"""Whether the choices of a `oneOf` exclude one another, so that `anyOf` means the same.

A proof is looked for where there is one that a reader would find as well: other types, other constant values, or a
required property whose schemas exclude one another (the tag of a tagged union). No proof is no refutation: what
cannot be told apart here may still exclude one another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.prompt.grammar.keywords import TYPES

_DEEPEST: Final = 12
_STEPS: Final = 20_000
"""Most comparisons for all choices of one schema; past them nothing is proven."""


class Excluder:
    """Compares schemas of one document; `target` finds what a `$ref` names."""

    def __init__(self, target: Callable[[str], Any]) -> None:
        self._target = target
        self._steps = 0

    def overlap(self, choices: Sequence[Any]) -> tuple[int, int] | None:
        """The places of the first two of `choices` that could both hold for one value; None where no two can."""
        for first, one in enumerate(choices):
            for second in range(first + 1, len(choices)):
                if not self._apart(one, choices[second], 0):
                    return first, second
        return None

    def _apart(self, one: Any, other: Any, depth: int) -> bool:
        self._steps += 1
        if depth > _DEEPEST or self._steps > _STEPS:
            return False
        if one is False or other is False:
            return True
        if not isinstance(one, Mapping) or not isinstance(other, Mapping):
            return False
        return (
            self._own_apart(one, other, depth)
            or any(self._apart(part, other, depth + 1) for part in self._parts(one))
            or any(self._apart(one, part, depth + 1) for part in self._parts(other))
            or any(
                all(self._apart(choice, other, depth + 1) for choice in choices) for choices in _choices(one)
            )
            or any(
                all(self._apart(one, choice, depth + 1) for choice in choices) for choices in _choices(other)
            )
        )

    def _parts(self, schema: Mapping[str, Any]) -> Iterator[Any]:
        """The schemas that hold wherever `schema` does."""
        if "$ref" in schema:
            yield self._target(schema["$ref"])
        yield from schema.get("allOf", ())

    def _own_apart(self, one: Mapping[str, Any], other: Mapping[str, Any], depth: int) -> bool:
        shared = _kinds(one) & _kinds(other)
        if not shared:
            return True
        values = _values(one), _values(other)
        if values[0] is not None and values[1] is not None and not values[0] & values[1]:
            return True
        if shared != {"object"}:
            return False
        required = dict.fromkeys((*one.get("required", ()), *other.get("required", ())))
        return any(self._apart(_property(one, name), _property(other, name), depth + 1) for name in required)


def _choices(schema: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    for word in ("anyOf", "oneOf"):
        if word in schema:
            yield schema[word]


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """Types that a value of `schema` can have; whole numbers are numbers."""
    names = schema.get("type", TYPES)
    kinds = {
        "number" if name == "integer" else name for name in ([names] if isinstance(names, str) else names)
    }
    listed = _listed(schema)
    return kinds if listed is None else kinds & set(map(_kind, listed))


def _listed(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _values(schema: Mapping[str, Any]) -> set[str] | None:
    """The constant values of `schema` in a form in which equal ones are equal; None where it names none."""
    listed = _listed(schema)
    return None if listed is None else {json.dumps(_comparable(value), sort_keys=True) for value in listed}


def _comparable(value: Any) -> Any:
    """`value` with whole numbers as int: 1 and 1.0 are one value, 1 and true are two."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _comparable(each) for name, each in value.items()}
    return [_comparable(each) for each in value] if isinstance(value, list | tuple) else value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def _property(schema: Mapping[str, Any], name: str) -> Any:
    """What `schema` asks of its property `name`; true where patterns of names may have a say."""
    named = schema.get("properties", {})
    if name in named:
        return named[name]
    return True if "patternProperties" in schema else schema.get("additionalProperties", True)
