"""The test suite of JSON Schema 2020-12: each group is held to the letter, or its schema is refused by name.

An instance is written as compact JSON, numbers without a needless `.0`, as generated JSON has them. A grammar fixes
the order of properties, so an instance counts as accepted if any order of them is. `format` asserts here, where
the suite takes it for a note: the one difference, and it stands below by name.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidRequest
from tests.engine.following import accepts, guide_for
from tests.engine.prompt.judging import fits

REFUSED_FILES = frozenset(
    """
    anchor contains defs dependentRequired dependentSchemas dynamicRef if-then-else maxContains minContains not
    propertyNames refRemote unevaluatedItems unevaluatedProperties vocabulary
    """.split()
)
"""Files of whose groups each asks for what no grammar can hold (or fetches another schema)."""

REFUSED_GROUPS = {
    "additionalProperties": """
        additionalProperties with propertyNames
        dependentSchemas with additionalProperties
    """,
    "allOf": """
        allOf with boolean schemas, some false
        allOf with boolean schemas, all false
    """,
    "anyOf": """
        anyOf with boolean schemas, all false
    """,
    "boolean_schema": """
        boolean schema 'false'
    """,
    "const": """
        nul characters in strings
    """,
    "enum": """
        nul characters in strings
        empty enum
    """,
    "format": """
        idn-email format
        regex format
        idn-hostname format
        json-pointer format
        relative-json-pointer format
        iri format
        iri-reference format
        uri-reference format
        uri-template format
    """,
    "multipleOf": """
        float division = inf
    """,
    "oneOf": """
        oneOf
        oneOf with base schema
        oneOf with boolean schemas, all true
        oneOf with boolean schemas, more than one true
        oneOf with boolean schemas, all false
        oneOf complex types
        oneOf with empty schema
        oneOf with required
        oneOf with missing optional property
    """,
    "patternProperties": """
        multiple simultaneous patternProperties are validated
        regexes are not anchored by default and are case sensitive
        patternProperties with boolean schemas
    """,
    "ref": """
        remote ref, containing refs itself
        $ref to boolean schema false
        Recursive references between schemas
        ref creates new scope when adjacent to keywords
        refs with relative uris and defs
        relative refs with absolute uris and defs
        $id must be resolved against nearest parent, not just immediate parent
        order of evaluation: $id and $ref
        order of evaluation: $id and $anchor and $ref
        order of evaluation: $id and $ref on nested schema
        simple URN base URI with $ref via the URN
        URN base URI with URN and JSON pointer ref
        URN base URI with URN and anchor ref
        URN ref with nested pointer ref
        ref to if
        ref to then
        ref to else
        ref with absolute-path-reference
    """,
    "uniqueItems": """
        uniqueItems validation
        uniqueItems with an array of items
        uniqueItems with an array of items and additionalItems=false
    """,
}
"""Groups that are refused in the other files, one a line. Of `oneOf` those whose choices overlap; a schema that
allows nothing at all, and text with control characters, are refused as well."""

ONLY_A_NOTE = " is only an annotation by default"
"""Ends the description of a test by which a `format` is not checked."""


def groups(shared_data: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((shared_data / "schemas" / "draft2020-12").glob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            yield path.stem, group


def plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    return {name: plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def texts(value: Any) -> Iterator[str]:
    """`value` as JSON, its objects in every order."""
    if isinstance(value, dict):
        for names in itertools.permutations(value):
            for members in itertools.product(*([*texts(value[name])] for name in names)):
                pairs = zip(names, members, strict=True)
                yield (
                    "{"
                    + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{text}" for name, text in pairs)
                    + "}"
                )
    elif isinstance(value, list):
        for members in itertools.product(*([*texts(each)] for each in value)):
            yield "[" + ",".join(members) + "]"
    else:
        yield json.dumps(value, ensure_ascii=False)


def is_refused(file: str, group: dict[str, Any]) -> bool:
    named = [line.strip() for line in REFUSED_GROUPS.get(file, "").splitlines()]
    return file in REFUSED_FILES or group["description"] in named


def test_every_group_that_is_not_named_as_refused_is_held(shared_data: Path) -> None:
    held = 0
    for file, group in groups(shared_data):
        if is_refused(file, group):
            continue
        guide = guide_for("schema", group["schema"])
        for test in group["tests"]:
            expected = test["valid"] and not test["description"].endswith(ONLY_A_NOTE)
            orders = itertools.islice(texts(plain(test["data"])), 5000)
            found = any(accepts(guide, text) for text in orders)
            assert found is expected, (file, group["description"], test["description"])
            held += 1
    assert held == 607


def test_every_group_that_is_named_as_refused_is(shared_data: Path) -> None:
    refused = 0
    for file, group in groups(shared_data):
        if is_refused(file, group):
            with pytest.raises(InvalidRequest) as raised:
                guide_for("schema", group["schema"])
            assert raised.value.param == "constraint"
            refused += 1
    assert refused == 223


def test_the_judge_of_generated_values_agrees_with_the_suite(shared_data: Path) -> None:
    for file, group in groups(shared_data):
        # Python's `re`, by which the judge goes, knows no `\\p`.
        if is_refused(file, group) or file in ("format", "content") or "\\p" in str(group["schema"]):
            continue
        for test in group["tests"]:
            judged = fits(test["data"], group["schema"])
            assert judged is test["valid"], (file, group["description"], test["description"])
