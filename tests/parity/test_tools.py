"""Tools are called if they may be, must be or not at all, with what they take, in the model's own form."""

from __future__ import annotations

import json

import pytest

from engine.types import Constraint, LoadOptions, Message, Tool, ToolChoice, ToolDelta
from tests.parity.subject import Subject

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = (
    Tool(name="get_weather", description="Get the weather of a city", parameters=CITY),
    Tool(name="get_time", description="Get the local time of a city", parameters=CITY),
)
LOOK = Tool(
    name="look",
    parameters={"type": "object", "properties": {"far": {"type": "boolean"}}, "required": ["far"]},
)
WALK = Tool(
    name="walk",
    parameters={"type": "object", "properties": {"steps": {"enum": [1, 2, 3]}}, "required": ["steps"]},
)
HOT = {"temperature": 3.0, "top_k": 0, "top_p": 1.0}
QUESTION = "What is the weather in Rome?"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        (ToolChoice(), ["get_weather"]),
        (ToolChoice(mode="required"), ["get_weather"]),
        (ToolChoice(mode="named", names=("get_time",)), ["get_time"]),
        (ToolChoice(mode="none"), []),
    ],
    ids=lambda each: getattr(each, "mode", ""),
)
async def test_it_calls_if_it_may_or_must_or_not_at_all(
    ember: Subject, choice: ToolChoice, called: list[str]
) -> None:
    heard = await ember.hear(QUESTION, tools=TOOLS, tool_choice=choice, max_tokens=100)
    assert [name for name, _ in heard.calls] == called
    assert all(json.loads(arguments) == {"city": "Rome"} for _, arguments in heard.calls)
    assert bool(heard.text().strip()) is not bool(called)
    assert heard.end().reason == ("tool_calls" if called else "stop")
    told = sum(delta.tokens for delta in heard.deltas())
    assert told == heard.usage.completion_tokens


async def test_one_that_need_not_be_called_is_not(ember: Subject) -> None:
    heard = await ember.hear("What is the capital of France?", tools=TOOLS)
    assert not heard.calls and "Paris" in heard.text() and heard.end().reason == "stop"


async def test_its_arguments_are_what_it_takes_however_hot(ember: Subject) -> None:
    for seed in range(2):
        heard = await ember.hear(
            "Hello.",
            tools=(LOOK, WALK),
            tool_choice=ToolChoice(mode="required", parallel=False),
            sampling=HOT | {"seed": seed},
            max_tokens=200,
        )
        ((name, arguments),) = heard.calls
        values = json.loads(arguments)
        assert values in ({"far": True}, {"far": False}) if name == "look" else values["steps"] in (1, 2, 3)
        assert heard.end().reason == "tool_calls" and heard.text().strip() == ""


async def test_id_and_name_come_once(subject: Subject) -> None:
    call = '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call>'
    model = (
        {"model": f"scripted:pieces=bytes,text={call}", "load": LoadOptions()}
        if subject.backend == "scripted"
        else {}
    )
    heard = await subject.hear(QUESTION, tools=TOOLS, max_tokens=150, **model)
    pieces = [event for event in heard.events if isinstance(event, ToolDelta)]
    assert [(bool(each.id), each.name) for each in pieces if each.id or each.name] == [(True, "get_weather")]
    assert [json.loads(arguments) for _, arguments in heard.calls] == [{"city": "Rome"}]


async def test_a_result_is_answered(ember: Subject) -> None:
    first = await ember.hear(QUESTION, tools=TOOLS, max_tokens=100)
    ((name, arguments),) = first.calls
    call = f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'
    talk = (
        Message(role="user", content=QUESTION),
        Message(role="assistant", content=call),
        Message(role="tool", content='{"weather": "sunny", "temperature": 21}'),
    )
    heard = await ember.hear(messages=talk, tools=TOOLS, max_tokens=40)
    assert "sunny" in heard.text() and "21" in heard.text() and not heard.calls


async def test_a_call_cut_short_says_length(ember: Subject) -> None:
    long = Tool(
        name="write",
        parameters={
            "type": "object",
            "properties": {"text": {"type": "string", "minLength": 400}},
            "required": ["text"],
        },
    )
    heard = await ember.hear("Hello.", tools=(long,), tool_choice=ToolChoice(mode="required"), max_tokens=30)
    assert heard.end().reason == "length"
    assert sum(delta.tokens for delta in heard.deltas()) == heard.usage.completion_tokens == 30


async def test_a_form_of_the_answer_holds_where_no_tool_is_called(ember: Subject) -> None:
    constraint = Constraint(kind="choice", value=["yes", "no"])
    heard = await ember.hear(
        "Is it?", tools=TOOLS, tool_choice=ToolChoice(mode="none"), constraint=constraint
    )
    assert heard.text() in ("yes", "no")
