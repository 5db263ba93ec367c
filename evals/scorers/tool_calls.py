"""Tool calls: those that should come did, with the right arguments, in any order, and no others.

An expected argument `{"any": [...]}` takes each value of the list. Texts are compared in any case and without white
space around them, numbers by value: what a tool would be handed means the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.types import ToolCall
from evals.sample import Answer, ExpectedCall, Sample, Score, right
from evals.scorers.schema.check import same
from evals.scorers.scorer import Context, Options, Scorer


def make(name: str, options: Options, context: Context) -> Scorer:
    """`arguments` exact: none beside those expected; some: others may be there too; ignored: the name is enough."""
    how = options.one_of("arguments", "exact", "some", "ignored")

    def verdict(sample: Sample, answer: Answer) -> Score:
        expected = sample.calls or ()
        if len(expected) != len(answer.calls):
            return right(False, note=f"{len(answer.calls)} calls instead of {len(expected)}")
        left = list(answer.calls)
        hits = {}
        for place, each in enumerate(expected):
            found = next((call for call in left if fits(call, each, how)), None)
            if found is not None:
                left.remove(found)
            hits[f"{place + 1} {each.name}"] = found is not None
        return right(all(hits.values()), hits=hits)

    return Scorer(name=name, needs=("calls",), verdict=verdict)


def fits(call: ToolCall, expected: ExpectedCall, how: str) -> bool:
    """Whether a call is the expected one. Arguments that are no JSON object fit nothing."""
    if call.name != expected.name:
        return False
    if how == "ignored":
        return True
    try:
        given = msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        return False
    if not isinstance(given, dict):
        return False
    if how == "exact" and given.keys() - expected.arguments.keys():
        return False
    return all(_argument(name, wanted, given) for name, wanted in expected.arguments.items())


def _argument(name: str, wanted: Any, given: Mapping[str, Any]) -> bool:
    choices = wanted["any"] if isinstance(wanted, dict) and set(wanted) == {"any"} else [wanted]
    if name not in given:
        # An argument that may be left out says so with null among its values.
        return any(each is None for each in choices) and isinstance(wanted, dict)
    return any(alike(each, given[name]) for each in choices)


def alike(one: Any, other: Any) -> bool:
    """Equal as arguments."""
    if isinstance(one, str) and isinstance(other, str):
        return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    return same(one, other)
