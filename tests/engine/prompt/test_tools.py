"""Every family's calls are enforced as the model writes them, and come back as the calls they were."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.prompt import FORMATS, CallPart, Passage, ToolFormat, answer_form
from engine.prompt.tools import llama3
from engine.prompt.tools.base import MOST_CALLS
from engine.types import Message, Thinking, Tool, ToolCall, ToolChoice
from tests.engine.prompt.families import (
    CLOCK,
    WEATHER,
    asked,
    calls,
    family,
    meaning,
    template_of,
    vocabulary_of,
)
from tests.engine.prompt.playing import Heard, Play, accepts, hear
from tests.tiers import examples

PROMPT = "<|user|>Hello?\n<|assistant|>"
each_family = pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.name)
AT_A_TIME = {"harmony", "llama3"}
"""Families that make one call in an answer."""


@each_family
@pytest.mark.parametrize("special", [True, False], ids=["tags are tokens", "tags are text"])
@settings(max_examples=examples(25))
@given(made=calls(), content=st.sampled_from(["", "Let me look.", "I see: {x}"]), enforced=st.booleans())
def test_calls_are_accepted_and_read_back(
    one: ToolFormat, special: bool, made: tuple[ToolCall, ...], content: str, enforced: bool
) -> None:
    template = template_of(one)
    if one.name in AT_A_TIME:
        made, content = made[:1], ""
    text = one.write(made)
    if one.name == "functionary-3.2":
        text = f"all\n{content}\n>>>{text}" if content else text
    else:
        text = f"{content}\n{text}" if content else text
    form = answer_form(template, PROMPT, asked(), vocabulary_of(template, special=special).token_of)
    assert accepts(vocabulary_of(template, special=special), form, text), text
    heard = hear(form, text, enforced=enforced)
    assert meaning(heard.calls) == meaning(made)
    assert heard.content == content
    assert heard.whole_calls == len(made) and not heard.broken
    assert all(json.loads(call.arguments) is not None for call in heard.calls)
    assert len({call.id for call in heard.calls}) == len(made)


@each_family
def test_arguments_are_given_out_as_they_come(one: ToolFormat) -> None:
    template = template_of(one)
    city = "a very long name of a city that goes on and on"
    text = one.write([ToolCall(id="call00000", name=WEATHER.name, arguments=json.dumps({"city": city}))])
    form = answer_form(template, PROMPT, asked(), vocabulary_of(template).token_of)
    reader = form.reader()
    cut = text.index(city) + 30
    heard = [part for char in text[:cut] for part in reader.feed(char)]
    given = "".join(part.arguments for part in heard if isinstance(part, CallPart))
    assert city[:28] in given and not any(isinstance(part, Passage) for part in heard)
    heard += [*reader.feed(text[cut:]), *reader.flush()]
    given = "".join(part.arguments for part in heard if isinstance(part, CallPart))
    assert json.loads(given) == {"city": city}


@each_family
@pytest.mark.parametrize("mode", ["auto", "required"])
def test_only_offered_tools_with_right_arguments_can_be_called(one: ToolFormat, mode: str) -> None:
    template = template_of(one)
    vocabulary = vocabulary_of(template)
    form = answer_form(template, PROMPT, asked(mode=mode), vocabulary.token_of)

    def refused(name: str, arguments: str, least: str) -> None:
        text = one.write([ToolCall(id="call00000", name=name, arguments=arguments)])
        taken = Play(vocabulary, form.grammar).write(text)
        assert taken != text and least in taken and text.startswith(taken), taken

    refused("get_weathers", '{"city": "Rome"}', "get_weather")
    refused("delete_all", "{}", "")
    refused("get_weather", '{"city": "Rome", "days": "many"}', "days")
    refused("get_weather", '{"city": "Rome", "planet": "Mars"}', "Rome")
    refused("get_weather", '{"days": 3}', "get_weather")
    refused("get_weather", '{"city": "Rome", "units": "feet"}', "units")
    refused("now", '{"zone": "UTC"}', "now")


@each_family
def test_a_call_that_is_required_comes_and_nothing_else(one: ToolFormat) -> None:
    template = template_of(one)
    vocabulary = vocabulary_of(template)
    form = answer_form(template, PROMPT, asked(mode="required"), vocabulary.token_of)
    assert not Play(vocabulary, form.grammar).may_end
    for text in ("It is sunny.", "all\nIt is sunny.", "<|channel|>final<|message|>Sunny."):
        play = Play(vocabulary, form.grammar)
        assert not play.takes(text)
        assert not play.may_end


@each_family
def test_a_named_tool_is_called_once(one: ToolFormat) -> None:
    template = template_of(one)
    vocabulary = vocabulary_of(template)
    form = answer_form(template, PROMPT, asked(mode="named", names=("now",)), vocabulary.token_of)
    call = ToolCall(id="call00000", name="now", arguments="{}")
    other = ToolCall(id="call00000", name="get_weather", arguments='{"city": "Rome"}')
    assert accepts(vocabulary, form, one.write([call]))
    assert not accepts(vocabulary, form, one.write([call, call])) or one.name in AT_A_TIME
    assert not accepts(vocabulary, form, one.write([other]))


@each_family
def test_calls_side_by_side_can_be_forbidden(one: ToolFormat) -> None:
    template = template_of(one)
    vocabulary = vocabulary_of(template)
    two = [ToolCall(id=f"call0000{place}", name="now", arguments="{}") for place in "01"]
    for parallel in (True, False):
        form = answer_form(template, PROMPT, asked(parallel=parallel), vocabulary.token_of)
        if one.name not in AT_A_TIME:
            assert accepts(vocabulary, form, one.write(two)) is parallel
        assert accepts(vocabulary, form, one.write(two[:1]))


@each_family
def test_calls_do_not_go_on_for_ever(one: ToolFormat) -> None:
    template = template_of(one)
    vocabulary = vocabulary_of(template)
    form = answer_form(template, PROMPT, asked(mode="required"), vocabulary.token_of)
    many = [ToolCall(id=f"call{place:05}", name="now", arguments="{}") for place in range(MOST_CALLS + 1)]
    if one.name not in AT_A_TIME:
        assert accepts(vocabulary, form, one.write(many[:-1]))
        assert not accepts(vocabulary, form, one.write(many))


@each_family
def test_text_without_calls_stays_text(one: ToolFormat) -> None:
    template = template_of(one)
    vocabulary = vocabulary_of(template)
    form = answer_form(template, PROMPT, asked(), vocabulary.token_of)
    words = "It is sunny, 2 < 3 and a[1] = {x}.\n\n* yes\n"
    text = form_of_text(one, words)
    assert accepts(vocabulary, form, text)
    heard = hear(form, text)
    assert (heard.content, heard.calls) == (words.rstrip() if one.name == "command-r7b" else words, [])


def form_of_text(one: ToolFormat, words: str) -> str:
    """Words as that family says them."""
    heads = {
        "functionary-3.2": "all\n",
        "harmony": "<|channel|>final<|message|>",
        "command-r7b": "<|START_RESPONSE|>",
    }
    tails = {"command-r7b": "<|END_RESPONSE|>"}
    return heads.get(one.name, "") + words + tails.get(one.name, "")


@each_family
@pytest.mark.parametrize("special", [True, False], ids=["tags are tokens", "tags are text"])
def test_tools_that_may_not_be_called_are_not(one: ToolFormat, special: bool) -> None:
    template = template_of(one)
    vocabulary = vocabulary_of(template, special=special)
    form = answer_form(template, PROMPT, asked(mode="none"), vocabulary.token_of)
    call = one.write([ToolCall(id="call00000", name="now", arguments="{}")])
    call = f">>>{call}" if one.name == "functionary-3.2" else call
    assert accepts(vocabulary, form, form_of_text(one, "It is sunny."))
    if one.name != "llama3":
        assert not accepts(vocabulary, form, form_of_text(one, "So: ") + call)
    assert hear(form, call).calls == []


@each_family
def test_half_a_call_is_told_from_a_whole_one(one: ToolFormat) -> None:
    template = template_of(one)
    text = one.write([ToolCall(id="call00000", name=WEATHER.name, arguments='{"city": "Rome", "days": 3}')])
    form = answer_form(template, PROMPT, asked(), vocabulary_of(template).token_of)
    cut = text.index("Rome") + 2
    heard = hear(form, text[:cut])
    assert heard.broken and heard.whole_calls == 0
    assert [call.name for call in heard.calls] == ["get_weather"]
    assert heard.calls[0].arguments.endswith("Ro") and heard.content == ""
    cautious = hear(form, text[:cut], enforced=False)
    assert cautious.calls == [] and not cautious.broken
    assert cautious.content.endswith("Ro")


@each_family
@given(st.data())
def test_whatever_a_model_writes_is_read_and_nothing_is_lost(one: ToolFormat, data: st.DataObject) -> None:
    """Without a grammar: what is no call is text, up to tags and white space."""
    template = template_of(one)
    call = one.write([ToolCall(id="call00000", name=CLOCK.name, arguments="{}")])
    marks = [*one.marks, getattr(one, "opens", ">>>"), call, call[:-3], call[3:], *(one.wraps or ())]
    scraps = st.sampled_from(
        [*marks, '{"name": "now"', '{"name": "now", "arguments": "x"}', "}", '"', "\n", " ", "{"]
    )
    pieces = data.draw(st.lists(scraps | st.text(max_size=6), max_size=8))
    form = answer_form(template, PROMPT, asked(), vocabulary_of(template).token_of)
    text = "".join(pieces)
    heard = hear(form, text, enforced=False)
    assert not heard.broken
    for made in heard.calls:
        assert made.name in ("now", "get_weather") and isinstance(json.loads(made.arguments), dict)
    if one.name not in ("harmony", "functionary-3.2", "llama3") and not heard.calls and one.wraps is None:
        assert "".join(heard.content.split()) == "".join(text.split())
    other = Heard(form.reader(enforced=False), pieces)
    assert (other.content, other.made) == (heard.content, heard.made)


def test_calls_that_models_get_a_little_wrong_are_still_calls() -> None:
    form = answer_form(template_of(family("hermes")), PROMPT, asked(), lambda text: None)
    for text, arguments in {
        '<tool_call>{"name":"now","arguments":{}}</tool_call>': {},
        '<tool_call>\n{"arguments": {"city": "Rome"}, "name": "get_weather"}\n</tool_call>': {"city": "Rome"},
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Rome\\"}"}</tool_call>': {
            "city": "Rome"
        },
        '<tool_call>{"name": "get_weather", "parameters": {"city": "Rome"}}</tool_call>': {"city": "Rome"},
        '<tool_call>{"name": "now", "arguments": null}</tool_call>': {},
        '<tool_call>{"name": "now", "arguments": {}}': {},
        '<tool_call>{"name": "now", "arguments": {}}}}</tool_call>': {},
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}\n</tool_call>': {"city": "Rome"},
        '<tool_call>{"name": "get_weather", "arguments": {"city": "R\n"}}</tool_call>': {"city": "R\n"},
        '<tool_call>{"id": 7, "type": "function", "name": "now", "arguments": {}}</tool_call>': {},
        '```json\n{"name": "now", "arguments": {}}\n```': {},
        '{"name": "get_weather", "arguments": {"city": "Rome"}}': {"city": "Rome"},
    }.items():
        heard = hear(form, text, enforced=False)
        assert [json.loads(call.arguments) for call in heard.calls] == [arguments], text


def test_calls_that_make_no_sense_are_text() -> None:
    form = answer_form(template_of(family("hermes")), PROMPT, asked(), lambda text: None)
    for text in (
        '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "now", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "now", "arguments": {"a": NaN}}</tool_call>',
        '<tool_call>{"name": "now", "arguments": {"a": }}</tool_call>',
        '<tool_call>{"name": "now"}</tool_call>',
        "<tool_call>now()</tool_call>",
        "The tag <tool_call> begins a call.",
        '{"name": "Ada", "age": 36}',
        '```python\nprint("{}")\n```',
        '{"name": "now", "arguments": ' + "[" * 5000,
    ):
        heard = hear(form, text, enforced=False)
        assert heard.calls == [] and heard.content == text


def test_an_answer_in_json_is_not_held_back_for_looking_like_a_call() -> None:
    for name in ("hermes", "llama3"):
        reader = answer_form(template_of(family(name)), PROMPT, asked(), lambda text: None).reader()
        assert reader.feed('{"items": [1, 2') == [Passage("content", '{"items": [1, 2')]
        assert reader.feed(", 3]}") == [Passage("content", ", 3]}")]


def test_white_space_without_end_is_given_out() -> None:
    form = answer_form(template_of(family("hermes")), PROMPT, asked(), lambda text: None)
    heard = hear(form, "x" + " " * 1000 + "<tool_call>" + '{"name": "now", "arguments": {}}</tool_call>')
    assert len(heard.content) > 900 and heard.made == [("now", "{}")]
    assert hear(form, " " * 1000).content == " " * 1000


def test_several_calls_and_the_text_around_them() -> None:
    text = (
        'First the time.\n\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>\n'
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>\n\nThat is it.'
    )
    form = answer_form(template_of(family("hermes")), PROMPT, asked(), lambda text: None)
    heard = hear(form, text, enforced=False)
    assert heard.order == ["content", 0, 1, "content"]
    assert heard.content == "First the time.That is it."
    assert [call.name for call in heard.calls] == ["now", "get_weather"]


def test_ids_of_the_models_own_are_kept_and_all_are_unlike() -> None:
    kimi = answer_form(template_of(family("kimi")), PROMPT, asked(), lambda text: None)
    begin, end = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
    one = "<|tool_call_begin|>functions.now:{}<|tool_call_argument_begin|>{{}}<|tool_call_end|>"
    heard = hear(kimi, begin + one.format(0) + one.format(1) + one.format(1) + end)
    assert [call.id for call in heard.calls][:2] == ["functions.now:0", "functions.now:1"]
    assert heard.calls[2].id.startswith("call_")
    small = answer_form(template_of(family("mistral-ids")), PROMPT, asked(), lambda text: None)
    assert hear(small, "[TOOL_CALLS]now[CALL_ID]abcDEF123[ARGS]{}").calls[0].id == "abcDEF123"
    earlier = Message(role="assistant", tool_calls=(ToolCall(id="abcDEF123", name="now", arguments="{}"),))
    again = answer_form(
        template_of(family("mistral-ids")), PROMPT, asked(messages=(earlier,)), lambda text: None
    )
    heard = hear(again, "[TOOL_CALLS]now[CALL_ID]abcDEF123[ARGS]{}")
    assert heard.calls[0].id != "abcDEF123" and len(heard.calls[0].id) == 9
    nemo = answer_form(template_of(family("mistral-list")), PROMPT, asked(), lambda text: None)
    assert len(hear(nemo, '[TOOL_CALLS][{"name": "now", "arguments": {}}]').calls[0].id) == 9


def test_llama_calls_its_own_tools_in_its_own_manner() -> None:
    search = Tool(
        name="brave_search",
        parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    )
    python = Tool(name="ipython", parameters={"type": "object", "properties": {"code": {"type": "string"}}})
    template = template_of(family("llama3"))
    vocabulary = vocabulary_of(template)
    request = asked(tools=(search, python, CLOCK), template_args={"builtin_tools": ["brave_search"]})
    form = answer_form(template, PROMPT, request, vocabulary.token_of)
    for text, call in {
        '<|python_tag|>brave_search.call(query="what is \\"truth\\"?")': (
            "brave_search",
            {"query": 'what is "truth"?'},
        ),
        '<|python_tag|>print("hi")\nx = {"a": 1}': ("ipython", {"code": 'print("hi")\nx = {"a": 1}'}),
        '<|python_tag|>{"name": "now", "parameters": {}}': ("now", {}),
        '{"name": "now", "parameters": {}}': ("now", {}),
    }.items():
        assert accepts(vocabulary, form, text), text
        assert meaning(hear(form, text).calls) == [call]
    assert hear(form, '{"name": "Ada"}').content == '{"name": "Ada"}'
    assert len(hear(form, '{"name": "now", "parameters": {}}; {"name": "now", "parameters": {}}').calls) == 2


@pytest.mark.parametrize("letter", ["a", " "])
def test_a_call_of_a_built_in_tool_that_never_ends_is_read_at_once(letter: str) -> None:
    started = time.process_time()
    assert llama3._PAIR.findall(letter * 20_000) == []
    assert time.process_time() - started < 0.5


def test_elements_mean_what_the_schema_says() -> None:
    tool = Tool(
        name="set",
        parameters={
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "count": {"type": "integer"},
                "flag": {"type": "boolean"},
                "maybe": {"type": ["string", "null"]},
                "list": {"type": "array"},
                "any": {},
            },
        },
    )
    form = answer_form(template_of(family("qwen-coder")), PROMPT, asked(tools=(tool,)), lambda text: None)

    def read(**values: str) -> object:
        inner = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in values.items())
        text = f"<tool_call>\n<function=set>\n{inner}</function>\n</tool_call>"
        (call,) = hear(form, text).calls
        return json.loads(call.arguments)

    assert read(text="12", count="12", flag="True", maybe="null") == {
        "text": "12", "count": 12, "flag": True, "maybe": None,
    }  # fmt: skip
    assert read(maybe="12", list="[1, 'a']", any="a < b") == {"maybe": "12", "list": [1, "a"], "any": "a < b"}
    assert read(text='\n  "x"\\ </p>\n') == {"text": '\n  "x"\\ </p>\n'}
    assert read(any='{"a": 1}', text="") == {"any": {"a": 1}, "text": ""}


def test_a_schema_that_no_grammar_can_express_costs_only_its_own_property() -> None:
    odd = Tool(
        name="odd",
        parameters={
            "type": "object",
            "properties": {"a": {"not": {"type": "string"}}, "b": {"type": "integer"}},
            "required": ["b"],
        },
    )
    template = template_of(family("hermes"))
    vocabulary = vocabulary_of(template)
    form = answer_form(template, PROMPT, asked(tools=(odd,)), vocabulary.token_of)
    call = '<tool_call>\n{{"name": "odd", "arguments": {}}}\n</tool_call>'
    assert accepts(vocabulary, form, call.format('{"a": "x", "b": 1}'))
    assert not accepts(vocabulary, form, call.format('{"a": "x", "b": "y"}'))
    assert not accepts(vocabulary, form, call.format('{"a": "x"}'))
    strict = Tool(name="odd", parameters=odd.parameters, strict=True)
    with pytest.raises(InvalidRequest, match="not"):
        answer_form(template, PROMPT, asked(tools=(strict,)), vocabulary.token_of)


def test_tools_that_cannot_be_told_apart_are_refused() -> None:
    template = template_of(family("hermes"))
    with pytest.raises(InvalidRequest, match="Two tools are called 'now'"):
        answer_form(template, PROMPT, asked(tools=(CLOCK, CLOCK)), lambda text: None)
    for name in ("", "two words", '"', "a<b>", "x" * 300):
        with pytest.raises(InvalidRequest, match="cannot be the name of a tool"):
            answer_form(template, PROMPT, asked(tools=(Tool(name=name),)), lambda text: None)
    with pytest.raises(InvalidRequest, match="'later' is to be called, and is not offered"):
        answer_form(template, PROMPT, asked(mode="named", names=("later",)), lambda text: None)
    with pytest.raises(InvalidRequest, match="there is none"):
        answer_form(template, PROMPT, asked(tools=(), mode="required"), lambda text: None)
    assert ToolChoice().mode == "auto" and Thinking().enabled is None
