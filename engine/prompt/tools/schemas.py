"""What a tool's arguments may be: its JSON Schema made ready for a grammar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import InvalidRequest
from engine.prompt.grammar import json_schema
from engine.types import Tool

_NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}
_OPENING = (
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "$ref",
    "if",
)
"""Keywords beside which an object may have more properties than it lists."""
_DEEPEST = 32
_INDENT = 60
"""How far a line may be indented: templates show calls with four blanks a level, and arguments begin at the third."""


def arguments_of(tool: Tool) -> dict[str, Any]:
    """The schema of a tool's arguments, an object. A tool that names no parameters takes none.

    Where it lists its properties and says nothing of others there are no others: models invent arguments.
    """
    if tool.parameters is None:
        return _NOTHING
    schema = dict(tool.parameters) if isinstance(tool.parameters, Mapping) else {}
    return _closed({**schema, "type": "object"}, 0)


def arguments_lark(tool: Tool) -> str:
    """A Lark fragment for the arguments of `tool`.

    A schema that a grammar cannot express is refused by name for a strict tool. For others just the properties
    that it cannot express are left open: a tool must not fail for a detail that its owner checks anyway.
    """
    schema = arguments_of(tool)
    try:
        return json_schema(schema, strict=tool.strict, indent=_INDENT)
    except InvalidRequest as error:
        if tool.strict:
            raise type(error)(
                f"The parameters of the tool {tool.name!r} cannot be enforced.",
                f"{error.what} {error.why}".strip(),
                "Leave `strict` out, or write the schema in simpler words.",
                param="tools",
            ) from None
    properties, definitions = properties_of(schema), definitions_of(schema)
    loose = {
        **_NOTHING,
        "properties": {name: _expressible(value, definitions) for name, value in properties.items()},
        "required": [name for name in required_of(schema) if name in properties],
        **definitions,
    }
    for tried in (loose, {"type": "object"}):
        try:
            return json_schema(tried, strict=False, indent=_INDENT)
        except InvalidRequest as error:
            refused = error
    raise refused


def property_lark(schema: Any, definitions: Mapping[str, Any]) -> str:
    """A Lark fragment for the value of one property; any value where a grammar cannot express it."""
    found = _expressible(schema, definitions)
    whole = {**found, **definitions} if found and isinstance(found, Mapping) else {}
    return json_schema(whole, strict=False, indent=_INDENT)


def properties_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The listed properties of an object schema."""
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def required_of(schema: Mapping[str, Any]) -> list[str]:
    """The names of an object schema's required properties. (Draft 3 had a boolean there.)"""
    required = schema.get("required")
    return [name for name in required if isinstance(name, str)] if isinstance(required, list | tuple) else []


def definitions_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions that references in `schema` point to."""
    return {key: schema[key] for key in ("$defs", "definitions") if key in schema}


def _expressible(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """`schema`, or only its type, or anything: the most of it that a grammar can express."""
    if not isinstance(schema, Mapping):
        return schema
    for tried in (dict(schema), {"type": schema["type"]} if "type" in schema else {}):
        try:
            json_schema({**tried, **definitions}, strict=False)
        except InvalidRequest:
            continue
        return tried
    return {}


def _closed(schema: dict[str, Any], depth: int) -> dict[str, Any]:
    """The schema with those objects closed that list their properties, through properties and items."""
    if depth > _DEEPEST:
        return schema
    closed = dict(schema)
    if isinstance(schema.get("properties"), Mapping):
        properties = schema["properties"]
        closed["properties"] = {name: _closed_value(value, depth) for name, value in properties.items()}
        if not any(key in schema for key in _OPENING) and set(required_of(schema)) <= set(properties):
            closed["additionalProperties"] = False
    if isinstance(schema.get("items"), Mapping):
        closed["items"] = _closed_value(schema["items"], depth)
    return closed


def _closed_value(value: Any, depth: int) -> Any:
    return _closed(dict(value), depth + 1) if isinstance(value, Mapping) else value
