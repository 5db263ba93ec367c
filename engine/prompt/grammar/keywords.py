"""The words of JSON Schema: which a grammar can hold, which hold nothing, and what is wrong with the others.

Draft 2020-12 (json-schema.org), with the words of older drafts and of OpenAPI that people still write.
"""

from __future__ import annotations

from typing import Final

ANNOTATIONS: Final = frozenset(
    "title description default examples deprecated readOnly writeOnly $comment $anchor $dynamicAnchor "
    "contentEncoding contentMediaType contentSchema example externalDocs xml discriminator".split()
)
"""They say something of a value and ask nothing of it. `$anchor` only names a place, and no reference goes by name."""

DEFINITIONS: Final = ("$defs", "definitions")
"""They hold schemas that count only where `$ref` names them."""

IN_PLACE: Final = ("allOf", "anyOf", "oneOf")
"""They hold lists of schemas for the very value that the schema around them is for."""

SINGLE: Final = ("additionalProperties", "items")
"""They hold a schema."""

LISTS: Final = (*IN_PLACE, "prefixItems")
"""They hold a list of schemas."""

MAPS: Final = ("properties", "patternProperties", *DEFINITIONS)
"""They hold schemas by name."""

TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")

FORMATS: Final = frozenset("date-time time date duration email hostname ipv4 ipv6 uuid uri".split())
"""The formats that the library has a pattern for."""

DRAFTS: Final = frozenset(
    f"http{secure}://json-schema.org/{draft}/schema"
    for secure in ("", "s")
    for draft in ("draft-04", "draft-06", "draft-07", "draft/2019-09", "draft/2020-12")
)
"""What `$schema` may name. Words that mean something else in an older draft are refused one by one."""

BEYOND: Final = {
    "not": "Say what is allowed instead.",
    "if": "Use `anyOf` with one choice for each case.",
    "then": "Use `anyOf` with one choice for each case.",
    "else": "Use `anyOf` with one choice for each case.",
    "dependentRequired": "Use `anyOf` with one choice for each case.",
    "dependentSchemas": "Use `anyOf` with one choice for each case.",
    "dependencies": "Use `anyOf` with one choice for each case.",
    "contains": "Use `items` or `prefixItems`.",
    "minContains": "Use `items` or `prefixItems`.",
    "maxContains": "Use `items` or `prefixItems`.",
    "uniqueItems": "Leave it out and drop doubles afterwards.",
    "propertyNames": "Use `patternProperties` with `additionalProperties: false`.",
    "unevaluatedItems": "Use `items: false` beside `prefixItems`.",
    "unevaluatedProperties": "Use `additionalProperties: false` where the properties are named.",
    "additionalItems": "Use `prefixItems`, and `items` for the rest.",
    "$dynamicRef": "Use `$ref`.",
    "$recursiveRef": "Use `$ref`.",
    "$recursiveAnchor": "Use `$ref`.",
    "$vocabulary": "Leave it out.",
    "nullable": 'Use `type` with "null" in its list.',
    "items": "A list of schemas is called `prefixItems` today.",
    "$schema": "Leave it out; JSON Schema 2020-12 is understood.",
    "$id": "Leave it out; only the outermost schema may have one.",
    "divisibleBy": "Use `multipleOf`.",
    "disallow": "Say what is allowed instead.",
    "extends": "Use `allOf`.",
    "id": "Use `$id`, in the outermost schema.",
}
"""Words that ask something which a grammar cannot hold or that mean nothing today, and what to write instead."""
