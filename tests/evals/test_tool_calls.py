"""The scorer of tool calls, on cases judged by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.types import ToolCall
from evals.sample import Answer, ExpectedCall, Sample
from evals.scorers import Context, make_scorer, spec_of

Call = tuple[str, str]


def call(name: str, arguments: str) -> ToolCall:
    return ToolCall(id="1", name=name, arguments=arguments)


def want(name: str, **arguments: Any) -> ExpectedCall:
    return ExpectedCall(name=name, arguments=arguments)


W = "weather"
PARIS = '{"city": "Paris"}'
CASES: list[tuple[list[ExpectedCall], list[Call], bool]] = [
    ([want(W, city="Paris")], [(W, PARIS)], True),
    ([want(W, city="Paris")], [(W, '{"city":"paris"}')], True),
    ([want(W, city="Paris")], [(W, '{"city": " Paris "}')], True),
    ([want(W, city="Paris")], [(W, '{"city": "Rome"}')], False),
    ([want(W, city="Paris")], [("time", PARIS)], False),
    ([want(W, city="Paris")], [], False),
    ([want(W, city="Paris")], [(W, PARIS), (W, PARIS)], False),
    ([want(W, city="Paris")], [(W, '{"city": "Paris", "day": 1}')], False),
    ([want(W, city="Paris")], [(W, "{}")], False),
    ([want(W, city="Paris")], [(W, "")], False),
    ([want(W, city="Paris")], [(W, '{"city": "Paris"')], False),
    ([want(W, city="Paris")], [(W, '["Paris"]')], False),
    ([want(W, city="Paris")], [(W, '"Paris"')], False),
    ([want(W, city="Paris")], [(W, '{"City": "Paris"}')], False),
    ([], [], True),
    ([], [(W, PARIS)], False),
    ([want(W)], [(W, "")], True),
    ([want(W)], [(W, "{}")], True),
    ([want(W)], [(W, PARIS)], False),
    ([want(W, city="Paris"), want(W, city="Rome")], [(W, '{"city": "Rome"}'), (W, PARIS)], True),
    ([want(W, city="Paris"), want(W, city="Rome")], [(W, PARIS), (W, PARIS)], False),
    ([want(W, city="Paris"), want(W, city="Paris")], [(W, PARIS), (W, PARIS)], True),
    ([want(W, city="Paris"), want("time", city="Paris")], [("time", PARIS), (W, PARIS)], True),
    ([want(W, city="Paris"), want("time", city="Paris")], [(W, PARIS)], False),
    ([want("add", a=1, b=2)], [("add", '{"b": 2, "a": 1}')], True),
    ([want("add", a=1, b=2)], [("add", '{"a": 1.0, "b": 2}')], True),
    ([want("add", a=1, b=2)], [("add", '{"a": "1", "b": 2}')], False),
    ([want("add", a=1, b=2)], [("add", '{"a": true, "b": 2}')], False),
    ([want("set", on=True)], [("set", '{"on": true}')], True),
    ([want("set", on=True)], [("set", '{"on": 1}')], False),
    ([want("set", on=True)], [("set", '{"on": "true"}')], False),
    ([want("set", on=None)], [("set", '{"on": null}')], True),
    ([want(W, city={"any": ["Paris", "Paris, France"]})], [(W, '{"city": "paris, france"}')], True),
    ([want(W, city={"any": ["Paris", "Paris, France"]})], [(W, '{"city": "France"}')], False),
    ([want(W, city="Paris", unit={"any": [None, "C"]})], [(W, PARIS)], True),
    ([want(W, city="Paris", unit={"any": ["C"]})], [(W, PARIS)], False),
    ([want("list", items=["a", "b"])], [("list", '{"items": ["A", "b"]}')], True),
    ([want("list", items=["a", "b"])], [("list", '{"items": ["b", "a"]}')], False),
    ([want("at", point={"x": 1, "y": 2})], [("at", '{"point": {"y": 2, "x": 1}}')], True),
    ([want("at", point={"x": 1, "y": 2})], [("at", '{"point": {"x": 1}}')], False),
]


def scored_calls(scorer: str, expected: list[ExpectedCall], made: list[Call]) -> bool:
    sample = Sample(id="x", turns=("?",), calls=tuple(expected))
    answer = Answer(texts=("",), calls=tuple(call(*each) for each in made))
    score = asyncio.run(make_scorer(spec_of(scorer), Context()).score(sample, answer))
    assert score.passed is not None
    return score.passed


def test_calls_judged_by_hand() -> None:
    assert len(CASES) >= 30
    assert [case for case in CASES if scored_calls("tool_calls", case[0], case[1]) is not case[2]] == []


@pytest.mark.parametrize(
    ("how", "arguments", "passed"),
    [
        ("some", '{"city": "Paris", "day": 1}', True),
        ("some", '{"day": 1}', False),
        ("ignored", "no JSON", True),
    ],
)
def test_arguments_may_matter_less(how: str, arguments: str, passed: bool) -> None:
    assert scored_calls(f"tool_calls:arguments={how}", [want(W, city="Paris")], [(W, arguments)]) is passed
