"""Layers of sampling values: which one counts, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from engine.errors import InvalidRequest
from engine.sampling import FIELDS, resolve, sources
from engine.types import Sampling


def test_the_strongest_layer_that_says_a_value_counts() -> None:
    full = resolve({"temperature": 0.1, "top_k": None}, {"temperature": 0.5, "top_k": 7}, {"min_p": 0.2})
    assert (full.temperature, full.top_k, full.min_p) == (0.1, 7, 0.2)
    assert full.top_p == Sampling().top_p


def test_every_value_names_its_layer() -> None:
    found = sources([("request", {"temperature": 0.1}), ("model", {"temperature": 0.5, "top_k": 7})])
    assert found["temperature"] == (0.1, "request")
    assert found["top_k"] == (7, "model")
    assert found["top_p"] == (Sampling().top_p, "default")
    assert found.keys() == FIELDS


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("top_p", 3, "It must be at most 1.0."),
        ("temperature", -1, "It must be at least 0.0."),
        ("temperature", "hot", "It must be a number."),
        ("top_k", "many", "It must be a whole number."),
        ("ignore_eos", "perhaps", "It must be true or false."),
        ("mirostat", 4, "It is none of the values that are known."),
        ("logit_bias", {"a": 1}, "Its keys must be token ids."),
        ("logit_bias", {"3": "x"}, "It must be a number."),
        ("temperature", float("nan"), "It is nan."),
        ("dry_sequence_breakers", ["x"] * 33, "It may have at most 32 entries."),
        ("dry_sequence_breakers", ["x" * 65], "It may have at most 64 characters."),
        ("top_z", 1, ""),
    ],
)
def test_a_wrong_value_is_named_and_explained(field: str, value: object, why: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve({field: value})
    assert (caught.value.param, caught.value.why) == (field, why)
