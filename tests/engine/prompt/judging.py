"""A plain validator for the words of JSON Schema that grammars hold, to judge what was generated.

Written from the standard and checked against its test suite (`test_grammar_suite`), not from the code it judges.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

_KINDS: dict[str, Any] = {
    "null": type(None), "boolean": bool, "integer": int, "number": (int, float), "string": str, "array": list,
    "object": dict,
}  # fmt: skip


def fits(value: Any, schema: Any, root: Any = None) -> bool:
    """Whether `value` is valid against `schema`, whose references point into `root`."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return schema
    return all(_word(word, asked, value, schema, root) for word, asked in schema.items())


def _word(word: str, asked: Any, value: Any, schema: dict[str, Any], root: Any) -> bool:
    match word:
        case "type":
            return any(_is(value, kind) for kind in ([asked] if isinstance(asked, str) else asked))
        case "const":
            return same(value, asked)
        case "enum":
            return any(same(value, each) for each in asked)
        case "$ref":
            return fits(value, _found(asked, root), root)
        case "allOf":
            return all(fits(value, each, root) for each in asked)
        case "anyOf":
            return any(fits(value, each, root) for each in asked)
        case "oneOf":
            return sum(fits(value, each, root) for each in asked) == 1
    if isinstance(value, str):
        return _string(word, asked, value)
    if isinstance(value, list):
        return _array(word, asked, value, schema, root)
    if isinstance(value, dict):
        return _object(word, asked, value, schema, root)
    return not _is(value, "number") or _number(word, asked, value)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS[kind]) or (
        kind == "integer" and isinstance(value, float) and value == value // 1
    )


def _string(word: str, asked: Any, value: str) -> bool:
    match word:
        case "minLength":
            return len(value) >= asked
        case "maxLength":
            return len(value) <= asked
        case "pattern":
            return re.search(asked, value, re.ASCII) is not None
    return True


def _number(word: str, asked: Any, value: float) -> bool:
    match word:
        case "minimum":
            return value >= asked
        case "maximum":
            return value <= asked
        case "exclusiveMinimum":
            return value > asked
        case "exclusiveMaximum":
            return value < asked
        case "multipleOf":
            return Fraction(repr(value)) % Fraction(repr(asked)) == 0
    return True


def _array(word: str, asked: Any, value: list[Any], schema: dict[str, Any], root: Any) -> bool:
    match word:
        case "minItems":
            return len(value) >= asked
        case "maxItems":
            return len(value) <= asked
        case "prefixItems":
            return all(fits(item, each, root) for item, each in zip(value, asked, strict=False))
        case "items":
            return all(fits(item, asked, root) for item in value[len(schema.get("prefixItems", ())) :])
    return True


def _object(word: str, asked: Any, value: dict[str, Any], schema: dict[str, Any], root: Any) -> bool:
    match word:
        case "required":
            return all(name in value for name in asked)
        case "minProperties":
            return len(value) >= asked
        case "maxProperties":
            return len(value) <= asked
        case "properties":
            return all(fits(value[name], each, root) for name, each in asked.items() if name in value)
        case "patternProperties":
            return all(
                fits(each, wanted, root)
                for pattern, wanted in asked.items()
                for name, each in value.items()
                if re.search(pattern, name, re.ASCII)
            )
        case "additionalProperties":
            return all(
                fits(each, asked, root)
                for name, each in value.items()
                if name not in schema.get("properties", ())
                and not any(re.search(known, name, re.ASCII) for known in schema.get("patternProperties", ()))
            )
    return True


def _found(reference: str, root: Any) -> Any:
    for step in unquote(reference).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        root = root[int(name)] if isinstance(root, list) else root[name]
    return root


def same(one: Any, other: Any) -> bool:
    """Equal as JSON values: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)
