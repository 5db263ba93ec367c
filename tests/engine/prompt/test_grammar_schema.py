"""JSON Schema as a constraint: what is held, how the JSON looks, and what is refused by which name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.errors import InvalidRequest, Unsupported
from engine.prompt.grammar import grammar_of
from engine.types import Constraint
from tests.engine.following import accepts, guide_for

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}


def refusal(schema: Any, *, strict: bool = True) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        guide_for("schema", schema, strict=strict)
    assert raised.value.param == "constraint"
    return raised.value


# --- what JSON looks like


def test_json_mode_is_an_object_at_the_top() -> None:
    guide = guide_for("json")
    for text in ("{}", '{"a": [1, -2.5e3, "x", {"b": null}], "c": true}', '{\n  "a": 1\n}'):
        assert accepts(guide, text)
    for text in ("[]", "1", '"x"', "null", "", '{"a": 01}', "{'a': 1}", '{"a": 1,}', "{} ", " {}"):
        assert not accepts(guide, text)


@pytest.mark.parametrize(
    "text",
    [
        '{"name":"x","age":1}',
        '{"name": "x", "age": 1}',
        '{ "name" : "x" , "age" : 1 }',
        '{\n  "name": "x",\n  "age": 1\n}',
        '{\n\t"name": "x",\n\t"age": 1\n}',
    ],
)
def test_json_may_be_compact_spaced_or_indented(text: str) -> None:
    assert accepts(guide_for("schema", PERSON), text)


def test_white_space_is_bounded_at_every_place() -> None:
    guide = guide_for("schema", PERSON)
    assert not accepts(guide, '{  "name":"x"}')
    assert not accepts(guide, '{\n\n"name":"x"}')
    assert not accepts(guide, '{"name":"x"\n' + " " * 21 + "}")
    for start in ("{", '{"name"', '{"name":', '{"name":"x"', '{"name":"x",'):
        walker = guide.fork()
        for byte in start.encode():
            walker.accept(byte)
        blanks = 0
        while walker.allows(ord(" ")) or walker.allows(ord("\n")):
            walker.accept(ord("\n") if walker.allows(ord("\n")) else ord(" "))
            blanks += 1
        assert blanks <= 22


def test_properties_come_in_the_order_of_the_schema() -> None:
    guide = guide_for("schema", PERSON)
    assert accepts(guide, '{"name":"x","age":1,"zip":2,"more":3}')
    assert not accepts(guide, '{"age":1,"name":"x"}')


def test_a_name_has_one_spelling_so_none_passes_for_another() -> None:
    """As `"\\u0061ge"` a known name would come twice, and past its own schema."""
    guide = guide_for("schema", PERSON)
    assert not accepts(guide, '{"name":"x","\\u0061ge":"old"}')
    assert not accepts(guide, '{"name":"x","age":1,"age":"old"}')
    assert accepts(guide, '{"name":"\\"\\\\\\n\\t","é":"😀"}')
    assert not accepts(guide, '{"name":"\\u00e9"}')
    assert not accepts(guide, '{"name":"\\/"}')


def test_text_of_any_language_and_no_control_characters() -> None:
    guide = guide_for("schema", {"type": "string"})
    assert accepts(guide, '"日本語 😀 ß"')
    for text in ('"\x00"', '"\x1b"', '"\\u0000"', '"\x7f"', '"a\nb"'):
        assert not accepts(guide, text)


# --- what is held


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"const": {"b": [1, None], "a": "x"}}, ['{"b": [1, null], "a": "x"}'], ['{"b": [1], "a": "x"}']),
        ({"const": 2.0}, ["2"], ["2.0", "3"]),
        ({"const": -0.0}, ["0"], ["1"]),
        ({"enum": [1.5, "a", None]}, ["1.5", '"a"', "null"], ["1", '"b"']),
        ({"type": ["integer", "null"]}, ["-7", "null"], ["1.5", '"x"']),
        ({"type": "number", "multipleOf": 0.01}, ["1.25", "-3", "0.5"], ["1.255"]),
        ({"type": "integer", "exclusiveMinimum": 3, "maximum": 12}, ["4", "12"], ["3", "13"]),
        ({"type": "number", "minimum": -0.5, "exclusiveMaximum": 1e3}, ["-0.5", "999.99"], ["-0.51", "1000"]),
        ({"type": "string", "minLength": 2.0, "maxLength": 3}, ['"ab"', '"😀😀"'], ['"a"', '"abcd"']),
        ({"type": "string", "pattern": "^[a-f]+$|x"}, ['"cafe"', '"zxz"'], ['"cafg"']),
        ({"type": "string", "format": "date", "pattern": "^2"}, ['"2024-02-28"'], ['"1999-01-01"', '"2024-13-01"']),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
         ["[1]", "[1, 2]"], ["[]", "[1,2,3]"]),
        ({"prefixItems": [{"type": "null"}], "items": False, "type": "array"}, ["[null]", "[]"], ["[null,1]"]),
        ({"type": "object", "additionalProperties": False}, ["{}"], ['{"a":1}']),
        ({"patternProperties": {"^n_": {"type": "integer"}}, "additionalProperties": {"type": "null"}},
         ['{"n_a":1,"b":null}'], ['{"n_a":null}', '{"b":1}']),
        ({"type": "object", "properties": {"a": True}, "required": ["a"], "minProperties": 1, "maxProperties": 2},
         ['{"a":1}', '{"a":1,"b":2}'], ['{"a":1,"b":2,"c":3}']),
        ({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}}]}, ["1", "[1,[2,[]]]"], ['["x"]']),
        ({"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "null"}}}], "type": "object"},
         ['{"a":null}'], ["{}"]),
        ({"type": "object", "uniqueItems": False, "title": "x", "x-note": {"nullable": True}}, ["{}"], ["1"]),
    ],
)  # fmt: skip
def test_what_is_held(schema: Any, good: list[str], bad: list[str]) -> None:
    guide = guide_for("schema", schema)
    assert [text for text in good if not accepts(guide, text)] == []
    assert [text for text in bad if accepts(guide, text)] == []


def test_additional_properties_see_names_and_patterns_wherever_they_stand() -> None:
    for between in ({"allOf": [True]}, {"anyOf": [{}]}, {"$ref": "#/$defs/any"}):
        schema = {
            "patternProperties": {"^n_": {"type": "integer"}},
            **between,
            "additionalProperties": False,
            "properties": {"a": {"type": "null"}},
            "type": "object",
            "$defs": {"any": {}},
        }
        guide = guide_for("schema", schema)
        assert accepts(guide, '{"a":null,"n_1":1}')
        assert not accepts(guide, '{"b":1}')


def test_anyof_and_oneof_beside_one_another_both_hold() -> None:
    schema = {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "minimum": 0,
        "oneOf": [{"type": "integer"}, {"type": "null"}],
        "allOf": [{"maximum": 9}],
    }
    guide = guide_for("schema", schema)
    assert accepts(guide, "5")
    for text in ("-1", "10", '"x"', "null"):
        assert not accepts(guide, text)


def test_a_reference_names_any_schema_of_the_document() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a/b": {"type": "integer"},
            "c": {"$ref": "#/properties/a~1b"},
            "d": {"$ref": "#/$defs/x%25"},
        },
        "$defs": {"x%": {"$ref": "#/definitions/list"}},
        "definitions": {"list": {"type": "array", "items": {"$ref": "#/$defs/x%25"}}, "unused": {"not": {}}},
    }
    guide = guide_for("schema", schema)
    assert accepts(guide, '{"a/b":1,"c":2,"d":[[],[[]]]}')
    assert not accepts(guide, '{"c":"x"}')


# --- oneOf


TAGGED = [
    {
        "type": "object",
        "properties": {"kind": {"const": kind}, "value": {"type": of}},
        "required": ["kind", "value"],
    }
    for kind, of in (("text", "string"), ("number", "number"))
]


NAMED = dict(zip("01", TAGGED, strict=True))


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
        {"oneOf": [{"enum": [1, 2]}, {"enum": [3, "1"]}, {"const": True}]},
        {"oneOf": TAGGED},
        {"oneOf": TAGGED, "discriminator": {"propertyName": "kind"}},
        {"oneOf": [{"$ref": "#/$defs/0"}, {"allOf": [{"$ref": "#/$defs/1"}]}], "$defs": NAMED},
        {"oneOf": [{"anyOf": TAGGED}, {"type": "array"}]},
        {"oneOf": [{"type": "object", "required": ["a"]}, {"type": "object", "properties": {"a": False}}]},
        {"oneOf": [{"type": "object", "required": ["a"]}, {"type": "object", "additionalProperties": False}]},
        {"oneOf": [{"type": "string"}, False]},
    ],
)  # fmt: skip
def test_oneof_is_held_where_its_choices_exclude_one_another(schema: Any) -> None:
    guide_for("schema", schema)


@pytest.mark.parametrize(
    "choices",
    [
        [{"type": "integer"}, {"type": "number"}],
        [{"const": 1}, {"const": 1.0}],
        [{"minimum": 3}, {"maximum": 2}],
        [True, {"type": "null"}],
        [{"type": "object", "properties": {"kind": {"const": kind}}} for kind in "ab"],
        [{"properties": {"kind": {"const": kind}}, "required": ["kind"]} for kind in "ab"],
        [{"type": "object", "required": ["a"]}, {"type": "object", "patternProperties": {"a": False}}],
    ],
)
def test_oneof_is_refused_where_choices_may_overlap_and_held_as_anyof_unless_strict(choices: Any) -> None:
    error = refusal({"properties": {"x": {"oneOf": [{"type": "array"}, *choices]}}})
    assert isinstance(error, Unsupported)
    assert error.what == "`oneOf` at /properties/x/oneOf cannot be held by a grammar."
    assert "choice" in error.why
    guide_for("schema", {"oneOf": [{"type": "array"}, *choices]}, strict=False)


def test_an_unknown_format_is_refused_and_a_note_unless_strict() -> None:
    schema = {"type": "string", "format": "colour"}
    error = refusal(schema)
    assert "`colour` at /format" in error.what
    assert "date-time" in error.why
    assert accepts(guide_for("schema", schema, strict=False), '"any"')
    assert refusal({"not": {}}, strict=False)


# --- what is refused


@pytest.mark.parametrize(
    "word",
    """
    not if then else dependentRequired dependentSchemas dependencies contains minContains maxContains propertyNames
    unevaluatedItems unevaluatedProperties additionalItems $dynamicRef $recursiveRef $recursiveAnchor $vocabulary
    nullable divisibleBy disallow extends id
    """.split(),
)
def test_a_word_that_no_grammar_holds_is_refused_with_its_place_and_a_way_out(word: str) -> None:
    error = refusal({"type": "object", "properties": {"a": {"items": {word: True}}}})
    assert isinstance(error, Unsupported)
    assert error.what == f"`{word}` at /properties/a/items/{word} cannot be held by a grammar."
    assert error.fix


@pytest.mark.parametrize("word", ["minimun", "type ", "optional", "", "$foo", "enumNames"])
def test_an_unknown_word_is_refused(word: str) -> None:
    error = refusal({"items": {word: 1}})
    assert isinstance(error, Unsupported)
    assert f"`{word}` at /items/{word} is unknown" in error.what


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (False, "allows nothing"),
        ([], "There is no schema at the top"),
        ("x", "There is no schema at the top"),
        (None, "There is no schema at the top"),
        ({"items": 3}, "There is no schema at /items"),
        ({1: 2}, "no text: 1"),
        ({"type": "text"}, "The type 'text' at /type is unknown"),
        ({"type": []}, "`type` at /type must be"),
        ({"enum": []}, "`enum` at /enum must be a list"),
        ({"anyOf": []}, "`anyOf` at /anyOf must be a list"),
        ({"allOf": {}}, "`allOf` at /allOf must be a list"),
        ({"properties": []}, "`properties` at /properties must be an object"),
        ({"required": "a"}, "`required` at /required must be a list"),
        ({"required": [1]}, "There must be text at /required"),
        ({"minLength": -1}, "`minLength` at /minLength must be a whole number"),
        ({"maxItems": 1.5}, "`maxItems` at /maxItems must be a whole number"),
        ({"maxLength": True}, "`maxLength` at /maxLength must be a whole number"),
        ({"minimum": "3"}, "`minimum` at /minimum must be a number"),
        ({"exclusiveMaximum": True}, "`exclusiveMaximum` at /exclusiveMaximum must be a number"),
        ({"multipleOf": 0}, "must be more than 0"),
        ({"multipleOf": 12_347}, "10,000 remainders"),
        ({"anyOf": [{"multipleOf": 997}, {"multipleOf": 0.991}]}, "10,000 remainders"),
        ({"const": 2**53 + 1}, "too large to be held exactly"),
        ({"maximum": 1e300}, "too large to be held exactly"),
        ({"minimum": float("inf")}, "The schema is no JSON"),
        ({"const": {1, 2}}, "The schema is no JSON"),
        ({"const": "a\x00b"}, "at /const holds a control character"),
        ({"properties": {"a\x1b": True}}, "holds a control character"),
        ({"enum": ["x", "\ud800"]}, "at /enum/1 holds half of a surrogate pair"),
        ({"pattern": "("}, "`pattern` at /pattern cannot be read"),
        ({"pattern": 3}, "There must be text at /pattern"),
        ({"format": 3}, "There must be text at /format"),
        ({"patternProperties": {"^a": True, "b$": True}}, "not disjoint"),
        ({"patternProperties": {"a(b)": True, "a(?:b)": True}}, "says the same as another"),
        ({"items": [{}]}, "`items` at /items cannot be held"),
        ({"$ref": 3}, "does not point into the schema itself: 3"),
        ({"$ref": "http://localhost/x"}, "Nothing is fetched"),
        ({"$ref": "other.json#/a"}, "Nothing is fetched"),
        ({"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}, "Nothing is fetched"),
        ({"$ref": "#/$defs/nope"}, "names no schema: #/$defs/nope"),
        ({"$ref": "#/enum/0", "enum": [{}]}, "names no schema"),
        ({"$ref": "#/$defs", "$defs": {}}, "names no schema"),
        ({"$ref": "#"}, "refers to itself"),
        ({"anyOf": [True, {"$ref": "#/$defs/a"}], "$defs": {"a": {"allOf": [{"$ref": "#"}]}}}, "refers to itself"),
        ({"$schema": "https://example.com/mine"}, "`$schema` at /$schema cannot be held"),
        ({"items": {"$id": "x"}}, "`$id` at /items/$id cannot be held"),
        ({"minProperties": 2}, "could come twice"),
        ({"properties": {"a": True}, "maxProperties": 1}, "are optional"),
        ({"properties": {"a": False}, "required": ["a"], "type": "object"}, "unsatisfiable"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "Unsatisfiable"),
        ({"type": "string", "pattern": "^a$", "minLength": 3}, "Unsatisfiable"),
    ],
)  # fmt: skip
def test_what_is_no_schema_or_cannot_be_held_is_named(schema: Any, said: str) -> None:
    error = refusal(schema)
    assert said in str(error)
    assert str(error).count("\n") == 0


def test_options_of_the_library_cannot_be_smuggled_in() -> None:
    schema = {
        "x-guidance": {"lenient": True, "coerce_one_of": True, "whitespace_pattern": ".*"},
        "type": "integer",
    }
    assert "lenient" not in grammar_of(Constraint(kind="schema", value=schema))
    assert refusal({**schema, "not": {}})


def test_a_real_schema_of_a_model_class_is_held() -> None:
    """As pydantic writes one: `$defs`, `anyOf` with null, `default`, `title`, a tagged union."""
    schema = {
        "$defs": {
            "Cat": {
                "properties": {
                    "kind": {"const": "cat", "title": "Kind", "type": "string"},
                    "lives": {"default": 9, "title": "Lives", "type": "integer"},
                },
                "required": ["kind"],
                "title": "Cat",
                "type": "object",
            },
            "Dog": {
                "properties": {
                    "kind": {"const": "dog", "title": "Kind", "type": "string"},
                    "tricks": {"items": {"type": "string"}, "title": "Tricks", "type": "array"},
                },
                "required": ["kind", "tricks"],
                "title": "Dog",
                "type": "object",
            },
        },
        "additionalProperties": False,
        "properties": {
            "pet": {
                "discriminator": {
                    "mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"},
                    "propertyName": "kind",
                },
                "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
            },
            "age": {"anyOf": [{"minimum": 0, "type": "integer"}, {"type": "null"}], "default": None},
        },
        "required": ["pet"],
        "title": "Owner",
        "type": "object",
    }
    guide = guide_for("schema", schema)
    assert accepts(guide, json.dumps({"pet": {"kind": "dog", "tricks": ["sit"]}, "age": 3}))
    assert accepts(guide, json.dumps({"pet": {"kind": "cat"}, "age": None}, indent=2))
    assert not accepts(guide, json.dumps({"pet": {"kind": "cow"}}))
    assert not accepts(guide, json.dumps({"pet": {"kind": "dog"}}))
