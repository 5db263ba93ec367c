"""Templates, tools and calls to play the families of models with."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hypothesis import strategies as st

from engine.prompt import FORMATS, Template, ToolFormat, tags_of
from engine.prompt.tools.form import Form
from engine.types import Constraint, GenerationRequest, Message, Thinking, Tool, ToolCall, ToolChoice
from tests.engine.prompt.playing import PIECES, Vocabulary

CHATML = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NEEDLES = {
    "harmony": "<|channel|> <|message|>",
    "functionary-3.2": ">>>all recipient",
    "llama3": "<|python_tag|>",
    "generic": "",
}
"""What makes a template one of a family that is not known by the texts it names itself."""

WEATHER = Tool(
    name="get_weather",
    description="Tells the weather of a city.",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Which city."},
            "days": {"type": "integer"},
            "units": {"type": "string", "enum": ["metric", "imperial"]},
            "exact": {"type": "boolean"},
            "places": {"type": "array", "items": {"type": "string"}},
            "more": {"type": "object"},
        },
        "required": ["city"],
    },
)
CLOCK = Tool(name="now", description="Tells the time.", parameters={"type": "object", "properties": {}})
TOOLS = (WEATHER, CLOCK)


@cache
def template_of(family: ToolFormat, extra: str = "") -> Template:
    """A template of that family; `extra` is text that it mentions too."""
    needles = NEEDLES.get(family.name)
    if needles is None:
        needles = " ".join(family.needles) if isinstance(family, Form) else ""
    template = Template(f"{CHATML}{{# {needles} {extra} #}}")
    assert template.family is family
    return template


@cache
def vocabulary_of(template: Template, *, special: bool = True) -> Vocabulary:
    """A vocabulary with a token for each tag of the template's models: a special one, or one of text like others."""
    tags = {*template.family.marks, *(template.family.wraps or ()), *(tags_of(template.source) or ())}
    return Vocabulary(tags) if special else Vocabulary(pieces=(*PIECES, *sorted(tags)))


def family(name: str) -> ToolFormat:
    return next(one for one in FORMATS if one.name == name)


def asked(
    *,
    tools: tuple[Tool, ...] = TOOLS,
    mode: Any = "auto",
    names: tuple[str, ...] = (),
    parallel: bool = True,
    constraint: Constraint | None = None,
    thinking: Thinking | None = None,
    **more: Any,
) -> GenerationRequest:
    return GenerationRequest(
        model="m",
        messages=more.pop("messages", (Message(role="user", content="Hello?"),)),
        tools=tools,
        tool_choice=ToolChoice(mode=mode, names=names, parallel=parallel),
        constraint=constraint,
        thinking=thinking or Thinking(),
        **more,
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
plain_texts = st.text("abc äß漢\n<>\"'\\{}[]/,:=1 ", max_size=16)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | plain_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_texts, inner, max_size=3),
    max_leaves=6,
)
weather_arguments = st.fixed_dictionaries(
    {"city": plain_texts},
    optional={
        "days": st.integers(-(10**6), 10**6),
        "units": st.sampled_from(["metric", "imperial"]),
        "exact": st.booleans(),
        "places": st.lists(plain_texts, max_size=3),
        "more": st.dictionaries(plain_texts, values, max_size=3),
    },
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[ToolCall, ...]:
    """One to three calls of the tools, with arguments in the order of the schema."""
    made = []
    for place in range(draw(st.integers(1, 3))):
        given = draw(weather_arguments) if draw(st.booleans()) else None
        arguments = (
            {}
            if given is None
            else {key: given[key] for key in WEATHER.parameters["properties"] if key in given}
        )
        name = CLOCK.name if given is None else WEATHER.name
        text = json.dumps(arguments, ensure_ascii=False)
        made.append(ToolCall(id=f"call0000{place}", name=name, arguments=text))
    return tuple(made)


def meaning(calls: Any) -> list[tuple[str, Any]]:
    """Names and arguments of calls, the arguments decoded."""
    return [(call.name, json.loads(call.arguments or "{}")) for call in calls]
