"""Whatever is written under a schema fits it: random schemas, random choices among the allowed bytes."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from tests.engine.following import END, accepts, guide_for, written
from tests.engine.prompt.judging import fits
from tests.tiers import examples

NAMES = ("a", "b", "é", 'q"', "a b", "\\", "n_1")
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-1000, 1000), st.sampled_from([0.5, -2.25, 0.0001, 3.0, 123456.789]),
    st.text("ab\"\\é😀\n /", max_size=4),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def schemas(draw: st.DrawFn, depth: int = 0) -> Any:
    """Schemas of words that are held, often with several that must hold together."""
    kinds = ["integer", "number", "string", "values", "any"]
    if depth < 3:
        kinds += ["array", "object", "object", "anyOf", "allOf", "oneOf", "ref"]
    match draw(st.sampled_from(kinds)):
        case "integer":
            low = draw(st.integers(-300, 300))
            return {
                "type": "integer", "minimum": low, "exclusiveMaximum": low + draw(st.integers(1, 500)),
                **draw(st.sampled_from([{}, {"multipleOf": 7}, {"multipleOf": 1.0}])),
            }  # fmt: skip
        case "number":
            low = draw(st.sampled_from([-12.5, 0, 0.125, 7, 1e-6]))
            return {
                "type": ["number", "null"],
                "minimum": low,
                "maximum": low + draw(st.sampled_from([0, 0.5, 90])),
            }
        case "string":
            return {
                "type": "string", "minLength": draw(st.integers(0, 2)), "maxLength": draw(st.integers(2, 5)),
                **draw(st.sampled_from([{}, {"pattern": "^[ab😀]*$"}, {"pattern": "a|b"}, {"pattern": "[^a]$"}])),
            }  # fmt: skip
        case "values":
            return draw(
                st.one_of(
                    st.fixed_dictionaries({"const": values}),
                    st.fixed_dictionaries({"enum": st.lists(values, min_size=1, max_size=3)}),
                )
            )
        case "array":
            least = draw(st.integers(0, 2))
            return {
                "type": "array",
                "minItems": least,
                "maxItems": least + draw(st.integers(0, 2)),
                "prefixItems": draw(st.lists(schemas(depth + 1), min_size=1, max_size=2)),
                "items": draw(schemas(depth + 1)),
            }
        case "object":
            names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
            return {
                "type": "object",
                "properties": {name: draw(schemas(depth + 1)) for name in names},
                "required": draw(st.lists(st.sampled_from(names), unique=True)) if names else ["n_1"],
                **draw(st.sampled_from([{}, {"patternProperties": {"^n_": {"type": "integer"}}}])),
                "additionalProperties": draw(st.sampled_from([True, False, {"type": "integer"}])),
            }
        case "anyOf":
            return {"anyOf": draw(st.lists(schemas(depth + 1), min_size=1, max_size=3))}
        case "oneOf":
            return {"oneOf": [draw(schemas(depth + 1)), {"const": draw(values)}]}
        case "allOf":
            beside = draw(schemas(depth + 1))
            return {**(beside if isinstance(beside, dict) else {}), "allOf": [draw(schemas(depth + 1))]}
        case "ref":
            return {"$ref": "#/$defs/tree"}
    return draw(st.sampled_from([True, {}, {"type": "boolean"}, {"minimum": 3}]))


DEFINITIONS = {
    "tree": {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
        },
        "required": ["next"],
        "additionalProperties": False,
    }
}


def chooser(seed: int) -> Any:
    """Chooses by chance, more often what closes something, so that texts come to an end."""
    chance = random.Random(seed)
    closing = {END, *b'"}],:0'}

    def choose(allowed: list[int]) -> int:
        ends = [token for token in allowed if token in closing]
        return chance.choice(ends if ends and chance.random() < 0.6 else allowed)

    return choose


@settings(max_examples=examples(250))
@given(schema=schemas(), seed=st.integers(0, 2**20))
def test_what_is_written_under_a_schema_fits_it(schema: Any, seed: int) -> None:
    whole = schema if isinstance(schema, bool) else {**schema, "$defs": DEFINITIONS}
    try:
        guide = guide_for("schema", whole)
    except InvalidRequest as error:
        assert error.param == "constraint"
        return
    for attempt in range(3):
        text = written(guide, chooser(seed + attempt))
        if text is not None:
            value = json.loads(text)
            assert fits(value, whole), (whole, text)
            assert accepts(guide, text)


@settings(max_examples=examples(150))
@given(value=values)
def test_a_value_fits_the_schema_that_names_it(value: Any) -> None:
    for schema in (
        {"const": value},
        {"enum": [True, value]},
        {"type": "object", "properties": {"x": {"const": value}}},
    ):
        guide = guide_for("schema", schema)
        wanted = {"x": value} if "type" in schema else value
        for indent in (None, 2):
            assert accepts(guide, json.dumps(plain(wanted), ensure_ascii=False, indent=indent)), (
                schema,
                value,
            )


def plain(value: Any) -> Any:
    """`value` with numbers as generated JSON writes them: no needless `.0`, no exponent."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    return {name: plain(each) for name, each in value.items()} if isinstance(value, dict) else value
