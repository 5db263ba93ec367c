"""Values that fit a JSON Schema of ours, and whether an answer fits one; for the keywords that our document has."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]
_DEEPEST = 4
_ANYTHING = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)


def values(schema: Schema, components: Mapping[str, Schema], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that fit `schema`; optional fields come seldom, deep ones never."""
    if "$ref" in schema:
        return values(_named(schema, components), components, depth)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return st.one_of([values(each, components, depth) for each in schema[word]])
    if "allOf" in schema:
        parts = [values(each, components, depth) for each in schema["allOf"]]
        return st.tuples(*parts).map(lambda found: {name: part[name] for part in found for name in part})
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    kind = schema.get("type")
    if kind == "object":
        return _objects(schema, components, depth)
    if kind == "array":
        if "prefixItems" in schema:
            return st.tuples(*(values(each, components, depth + 1) for each in schema["prefixItems"])).map(
                list
            )
        least = schema.get("minItems", 0)
        items = values(schema.get("items") or {}, components, depth + 1)
        return st.lists(items, min_size=least, max_size=least + (2 if depth < _DEEPEST else 0))
    if kind == "string" and schema.get("contentEncoding") == "base64":
        return st.binary(max_size=20).map(lambda data: base64.b64encode(data).decode())
    if kind == "string":
        return st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 20), 20))
    if kind == "integer":
        least = schema.get("minimum", -3)
        return st.integers(least, min(schema.get("maximum", least + 12), least + 12))
    if kind == "number":
        return st.floats(schema.get("minimum", -3), schema.get("maximum", 9), allow_nan=False)
    return {"boolean": st.booleans(), "null": st.none()}.get(str(kind), _ANYTHING)


def _objects(schema: Schema, components: Mapping[str, Schema], depth: int) -> st.SearchStrategy[Any]:
    required = set(schema.get("required", ()))
    fields = {
        name: values(each, components, depth + 1)
        for name, each in schema.get("properties", {}).items()
        if name in required or depth < _DEEPEST
    }
    needed = {name: each for name, each in fields.items() if name in required}
    optional = {name: each for name, each in fields.items() if name not in required}
    some = st.fixed_dictionaries(needed)
    if optional:
        names = st.lists(st.sampled_from(sorted(optional)), max_size=3, unique=True)
        more = names.flatmap(lambda chosen: st.fixed_dictionaries({name: optional[name] for name in chosen}))
        some = st.tuples(some, more).map(lambda both: {**both[0], **both[1]})
    further = schema.get("additionalProperties")
    if isinstance(further, Mapping) and not fields and depth < _DEEPEST:
        key = st.integers(0, 9).map(str) if "propertyNames" in schema else st.text(min_size=1, max_size=8)
        return st.dictionaries(key, values(further, components, depth + 1), max_size=2)
    return some


def misfit(value: Any, schema: Schema, components: Mapping[str, Schema], where: str = "") -> str:
    """What of `value` does not fit `schema`; empty if all does."""
    if "$ref" in schema:
        return misfit(value, _named(schema, components), components, where)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            found = [misfit(value, each, components, where) for each in schema[word]]
            return "" if "" in found else found[0]
    for each in schema.get("allOf", ()):
        if wrong := misfit(value, each, components, where):
            return wrong
    if "enum" in schema and value not in schema["enum"]:
        return f"{where}: {value!r} is none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        return f"{where}: {value!r} is not {schema['const']!r}"
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind] if kind else []
    if kinds and not any(_is(value, each) for each in kinds):
        return f"{where}: {str(value)[:60]!r} is not {kind}"
    if isinstance(value, dict):
        if missing := [name for name in schema.get("required", ()) if name not in value]:
            return f"{where}: {missing} are missing"
        known = schema.get("properties", {})
        for name, inner in value.items():
            further = schema.get("additionalProperties")
            told = known.get(name, further if isinstance(further, Mapping) else {})
            if wrong := misfit(inner, told, components, f"{where}.{name}"):
                return wrong
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for place, inner in enumerate(value):
            if wrong := misfit(inner, schema["items"], components, f"{where}[{place}]"):
                return wrong
    return ""


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    raise AssertionError(f"no kind of JSON Schema: {kind}")


def _named(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    return components[schema["$ref"].rpartition("/")[2]]
