"""Arguments as elements of mark-up: one for each, with the bare text of a string and the JSON of all else.

The caller gets the one JSON object that they mean. Which values are text the tool's schema says.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from engine.prompt.grammar import literal
from engine.prompt.incoming import Incoming, Step
from engine.prompt.tools.base import MOST_CALLS
from engine.prompt.tools.holes import LONGEST_NAME, Draft, Hole
from engine.prompt.tools.ledger import Ledger
from engine.prompt.tools.rules import Rules
from engine.prompt.tools.schemas import (
    arguments_of,
    definitions_of,
    properties_of,
    property_lark,
    required_of,
)
from engine.types import Tool, ToolCall

_KEY = re.compile(r"[^<>\"]+")
_LONGEST_PYTHON = 4096
"""Most characters that are tried as Python: its parser is not made for what strangers write."""


class Elements(Hole):
    """`before` name `middle` value `after`, again and again. With `lines` a value stands on lines of its own."""

    def __init__(self, before: str, middle: str, after: str, *, lines: bool = False) -> None:
        self.before, self.middle, self.after, self.lines = before, middle, after, lines

    def lark(self, rules: Rules, tool: Tool) -> str:
        schema = arguments_of(tool)
        properties, needed = properties_of(schema), required_of(schema)
        if not properties:
            if schema.get("additionalProperties") is False:
                return rules.gap
            name = r"/[^<>\"\s]{1,64}/"
            value = f"{rules.words(self.middle)} {rules.lead(self.after)} {rules.gap}"
            return f"({rules.words(self.before)} {name} {value}){{0,{MOST_CALLS}}}"
        elements = []
        for name, value in properties.items():
            head = f"{rules.words(self.before)} {literal(name)} {rules.words(self.middle)}"
            element = f"{head} {self._value(rules, value, definitions_of(schema))} {rules.gap}"
            elements.append(element if name in needed else f"({element})?")
        return " ".join(elements)

    def _value(self, rules: Rules, schema: Any, definitions: Mapping[str, Any]) -> str:
        """A value and the tag behind it."""
        close = rules.words(self.after)
        choices = schema.get("enum") if isinstance(schema, Mapping) else None
        if isinstance(choices, list) and choices and all(isinstance(choice, str) for choice in choices):
            return f"{rules.gap} {rules.one_of([literal(choice) for choice in choices])} {rules.gap} {close}"
        if "string" in _types(schema):
            return rules.lead(self.after)
        value = property_lark(schema, definitions)
        if _types(schema) == {"boolean"}:
            value = rules.one_of([literal(word) for word in ("true", "false", "True", "False")])
        return f"{rules.gap} {value} {rules.gap} {close}"

    def read(self, incoming: Incoming, ledger: Ledger, draft: Draft) -> Step[bool]:
        tool = ledger.tools.get(draft.name or "")
        if tool is None:
            return False
        schemas = properties_of(arguments_of(tool))
        yield ledger.begin(tool.name, draft.id)
        yield ledger.more("{")
        joint = ""
        yield from incoming.space()
        while (yield from incoming.literal(self.before)):
            name = (yield from incoming.run(_KEY, LONGEST_NAME)).strip()
            if not name or not (yield from incoming.literal(self.middle)):
                return False
            yield ledger.more(f"{joint}{json.dumps(name, ensure_ascii=False)}: ")
            if not (yield from self._read_value(incoming, ledger, schemas.get(name, {}))):
                return False
            joint = ", "
            yield from incoming.space()
        if not (yield from incoming.comes("</")):
            return False
        yield ledger.more("}")
        draft.whole = True
        return True

    def _read_value(self, incoming: Incoming, ledger: Ledger, schema: Any) -> Step[bool]:
        if self.lines and (yield from incoming.comes("\n")):
            incoming.skip(1)
        after = [f"\n{self.after}", self.after] if self.lines else [self.after]
        if _types(schema) == {"string"}:
            yield ledger.more('"')
            end = yield from incoming.until(after, lambda text: ledger.more(_escaped(text)))
            if end is not None:
                yield ledger.more('"')
        else:
            text, end = yield from incoming.held_until(after)
            if end is not None:
                yield ledger.more(json.dumps(_meant(text, _types(schema)), ensure_ascii=False))
        if end is None:
            return False
        return (yield from incoming.literal(end))

    def write(self, call: ToolCall, place: int) -> str:
        try:
            values = json.loads(call.arguments or "{}")
        except ValueError:
            values = {}
        line = "\n" if self.lines else ""
        return "".join(
            f"{self.before}{name}{self.middle}{line}{_bare(value)}{line}{self.after}\n"
            for name, value in (values.items() if isinstance(values, dict) else ())
        )


def bare_values(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for a template that writes them into elements: lists and objects as JSON text.

    Else templates write them as Python does.
    """
    return {
        name: _bare(value) if value is None or isinstance(value, dict | list) else value
        for name, value in arguments.items()
    }


def _bare(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _types(schema: Any) -> set[str]:
    """The JSON types that a value may have; a string among them where the schema does not say."""
    if not isinstance(schema, Mapping):
        return {"string", "any"}
    said = schema.get("type")
    if isinstance(said, str):
        return {said}
    if isinstance(said, list):
        return {str(one) for one in said}
    if isinstance(schema.get("enum"), list):
        kinds = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
        return {kinds.get(type(choice), "any") for choice in schema["enum"]}
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            return set().union(*(_types(choice) for choice in schema[key]))
    if "$ref" in schema or "properties" in schema or "items" in schema:
        return {"any"}
    return {"string", "any"}


def _meant(text: str, types: set[str]) -> Any:
    """The value that the text of an element means: JSON, or the way Python writes it, or text."""
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        if len(text) > _LONGEST_PYTHON:
            return text
        try:
            value = ast.literal_eval(text.strip())
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return text
    if "string" in types and "any" not in types and _type_of(value) not in types:
        return text
    return value


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case _:
            return "array"
