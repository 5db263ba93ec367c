"""Templates of real models render as `transformers` renders them; hostile ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.prompt import FALLBACK_STOPS, Template, for_model
from engine.types import ImagePart, Message, TextPart, Thinking, Tool, ToolCall

CONTEXTS = ("simple", "system", "tool_use")
CHATML = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def message_of(raw: dict[str, Any]) -> Message:
    calls = tuple(
        ToolCall(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"])
        for call in raw.get("tool_calls", ())
    )
    return Message(
        role=raw["role"],
        content=raw["content"],
        tool_calls=calls,
        tool_call_id=raw.get("tool_call_id"),
        tool_name=raw.get("name"),
    )


def tool_of(raw: dict[str, Any]) -> Tool:
    function = raw["function"]
    return Tool(name=function["name"], description=function["description"], parameters=function["parameters"])


def in_style(messages: list[dict[str, Any]], *, objects: bool, empty: str | None) -> list[dict[str, Any]]:
    """Messages as a caller of `transformers` would write them for a template of that taste."""
    copied: list[dict[str, Any]] = json.loads(json.dumps(messages))
    for message in copied:
        if "tool_calls" in message:
            message["content"] = message["content"] or empty
        for call in message.get("tool_calls", ()):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            call["function"] = {"name": name, "arguments": json.loads(arguments) if objects else arguments}
    return copied


def in_order(tools: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Tools with their keys in the field's usual order, which is the order that templates print."""
    keys = ("name", "description", "parameters")
    return tools and [
        {"type": "function", "function": {k: tool["function"][k] for k in keys}} for tool in tools
    ]


def by_transformers(source: str, context: dict[str, Any], messages: list[dict[str, Any]]) -> str | None:
    """What `transformers` makes of it; None where the template refuses or fails."""
    rendering = pytest.importorskip("transformers.utils.chat_template_utils")
    others = {key: value for key, value in context.items() if key not in ("messages", "tools")}
    try:
        texts, _ = rendering.render_jinja_template(
            [messages], tools=in_order(context.get("tools")), chat_template=source, **others
        )
    except Exception:
        return None
    return texts[0]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.jinja"))


SHOW_NOT_ALL = {
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja",
    "deepseek-ai-DeepSeek-V3.1.jinja",
    "ibm-granite-granite-3.3-2B-Instruct.jinja",
    "llama-cpp-rwkv-world.jinja",
    "microsoft-Phi-3.5-mini-instruct.jinja",
    "moonshotai-Kimi-K2.jinja",
}
"""Templates that leave out tools, calls or ids, all of which Hearth shows (see test_history)."""


@pytest.mark.parametrize("context_name", CONTEXTS)
def test_real_templates_render_as_transformers_renders_them(shared_data: Path, context_name: str) -> None:
    context = json.loads((shared_data / "templates" / "contexts" / f"{context_name}.json").read_text())
    rendered = 0
    for name in names(shared_data / "templates"):
        source = (shared_data / "templates" / name).read_text()
        theirs = {
            by_transformers(source, context, in_style(context["messages"], objects=objects, empty=empty))
            for objects in (True, False)
            for empty in ("", None)
        } - {None}
        extra = {
            key: value
            for key, value in context.items()
            if key not in ("messages", "tools", "bos_token", "eos_token", "add_generation_prompt")
        }
        template = Template(source, bos=context["bos_token"], eos=context["eos_token"])
        try:
            ours = template.render(
                [message_of(raw) for raw in context["messages"]],
                tools=[tool_of(raw) for raw in context.get("tools", ())],
                args=extra,
            )
        except InvalidRequest:
            assert not theirs, name
            continue
        if theirs:
            assert (ours in theirs) is (context_name != "tool_use" or name not in SHOW_NOT_ALL), name
            rendered += 1
    assert rendered >= 20


def test_every_real_template_answers_a_plain_conversation(shared_data: Path) -> None:
    talk = [
        Message(role="system", content="Be brief."),
        Message(role="user", content="Name a colour."),
        Message(role="assistant", content="Red."),
        Message(role="user", content="Another, please."),
    ]
    for name in names(shared_data / "templates"):
        text = Template((shared_data / "templates" / name).read_text()).render(talk)
        # Mistral's own place for the system prompt is before the last turn.
        assert text.index("Name a colour.") < text.index("Another, please."), name
        assert text.index("Be brief.") < text.index("Another, please."), name


def test_arguments_go_in_as_the_template_can_take_them(shared_data: Path) -> None:
    talk = [
        Message(role="user", content="Weather?"),
        Message(
            role="assistant",
            tool_calls=(ToolCall(id="abcdefghi", name="look", arguments='{"city": "Rome"}'),),
        ),
        Message(role="tool", content="Sunny", tool_call_id="abcdefghi", tool_name="look"),
    ]
    for name in ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja", "Qwen-Qwen2.5-7B-Instruct.jinja"):
        text = Template((shared_data / "templates" / name).read_text()).render(talk)
        assert '{"city": "Rome"}' in text, name


def test_system_prompt_of_a_template_without_that_role_heads_the_first_user_turn(shared_data: Path) -> None:
    gemma = Template((shared_data / "templates" / "google-gemma-2-2b-it.jinja").read_text(), bos="<bos>")
    text = gemma.render([Message(role="system", content="Be brief."), Message(role="user", content="Hello.")])
    assert text == "<bos><start_of_turn>user\nBe brief.\n\nHello.<end_of_turn>\n<start_of_turn>model\n"


def test_thinking_is_switched_by_the_variables_that_templates_read(shared_data: Path) -> None:
    qwen = Template((shared_data / "templates" / "Qwen-Qwen3-0.6B.jinja").read_text())
    talk = [Message(role="user", content="Hello.")]
    assert "<think>" not in qwen.render(talk)
    assert qwen.render(talk, thinking=Thinking(enabled=False)).endswith("<think>\n\n</think>\n\n")
    assert qwen.render(talk, thinking=Thinking(effort="none")).endswith("<think>\n\n</think>\n\n")
    oss = Template((shared_data / "templates" / "openai-gpt-oss-120b.jinja").read_text())
    assert "Reasoning: high" in oss.render(talk, thinking=Thinking(effort="high"))
    seed = Template((shared_data / "templates" / "ByteDance-Seed-OSS.jinja").read_text())
    assert "512" in seed.render(talk, thinking=Thinking(budget=512))


def test_an_answer_is_continued_where_it_ends() -> None:
    talk = [Message(role="user", content="Count."), Message(role="assistant", content="One, two, ")]
    assert Template(CHATML).render(talk, continue_last=True) == "<|user|>Count.\n<|assistant|>One, two, "
    trimming = CHATML.replace("message.content", "message.content | trim")
    assert Template(trimming).render(talk, continue_last=True) == "<|user|>Count.\n<|assistant|>One, two,"
    with pytest.raises(InvalidRequest, match="Only an answer can be continued"):
        Template(CHATML).render(talk[:1], continue_last=True)


def test_real_templates_continue_an_answer(shared_data: Path) -> None:
    talk = [Message(role="user", content="Count."), Message(role="assistant", content="One, two")]
    for name in names(shared_data / "templates"):
        text = Template((shared_data / "templates" / name).read_text()).render(talk, continue_last=True)
        assert text.endswith("One, two"), name


def test_the_template_of_last_resort_is_a_transcript_with_its_stops() -> None:
    template = for_model(None)
    talk = [Message(role="system", content="Be kind."), Message(role="user", content="Hi!")]
    assert template.render(talk) == "Be kind.\n\nUser: Hi!\nAssistant:"
    assert template.stops == FALLBACK_STOPS
    assert for_model(CHATML).stops == ()


def test_media_are_parts_and_text_alone_is_a_string() -> None:
    template = Template(
        "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
        "{% for p in m.content %}{{ p.text if p.type == 'text' else '<' ~ p.type ~ '>' }}{% endfor %}"
        "{% endif %}{% endfor %}"
    )
    words = (TextPart("What is "), TextPart("this?"))
    assert template.render([Message(role="user", content=words)]) == "What is this?"
    assert (
        template.render([Message(role="user", content=(*words, ImagePart(path="a.png")))])
        == "What is this?<image>"
    )


def test_json_is_written_as_models_know_it() -> None:
    template = Template("{{ tools | tojson }} <tool_call>")
    text = template.render([Message(role="user")], tools=[Tool(name="größe", description="a < b & 'c'")])
    assert "größe" in text and "a < b & 'c'" in text


def test_generation_blocks_and_loop_controls_are_understood() -> None:
    source = (
        "{% for i in [1, 2, 3] %}{% if i == 3 %}{% break %}{% endif %}"
        "{% generation %}{{ i }}{% endgeneration %}{% endfor %}"
    )
    assert Template(source).render([Message(role="user")]) == "12"


def test_a_refusal_carries_the_templates_own_words() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Template("{{ raise_exception('Roles must alternate.') }}").render([Message(role="user")])
    assert "Roles must alternate." in caught.value.why
    assert caught.value.fix


def test_a_broken_template_says_where() -> None:
    with pytest.raises(InvalidRequest, match="Line 2"):
        Template("fine\n{% for x in %}")


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__.__base__.__subclasses__() }}",
    "{{ raise_exception.__globals__['json'] }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('touch PWN').read() }}",
    "{{ lipsum.__globals__['os'].popen('touch PWN').read() }}",
    "{{ joiner.__init__.__globals__.os.popen('touch PWN').read() }}",
    "{{ self.__init__.__globals__.__builtins__.open('PWN', 'w') }}",
    "{{ (messages | attr('__class__')).__mro__ }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(namespace) }}",
    "{{ ('{0.__class__.__mro__}' | attr('format'))(messages) }}",
    "{% set x = namespace(__class__=1) %}{{ x.__class__.__mro__ }}",
    "{{ messages.append({'role': 'system', 'content': 'obey'}) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{{ ''['__cla' + 'ss__'].mro() }}",
    "{{ (dict | string)['__class__'] }}{{ dict.mro() }}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_a_template_cannot_leave_the_sandbox(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        text = Template(source).render([Message(role="user", content="x")])
    except InvalidRequest:
        text = ""
    assert not any(sign in text for sign in ("<class", "root:", "<module", "obey", "function"))
    assert not (tmp_path / "PWN").exists()


BOMBS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% set l = range(99999) | list %}{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}",
    "{{ 'a' * 10 ** 9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{{ 'a'.ljust(2000000000) }}",
    "{{ '%2000000000d' % 1 }}",
    "{{ '{:2000000000}'.format(1) }}",
    "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
    "{% for a in range(99999) %}{{ 'a' * 100000 }}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
]


@pytest.mark.parametrize(
    "source",
    [pytest.param(bomb, marks=[pytest.mark.long] if at == 1 else []) for at, bomb in enumerate(BOMBS)],
    ids=range(len(BOMBS)),
)
def test_a_template_bomb_is_an_error(source: str) -> None:
    with pytest.raises(InvalidRequest):
        Template(source).render([Message(role="user", content="x")], max_chars=10_000_000)


def test_a_prompt_beyond_the_callers_bound_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="longer than 1,000 characters"):
        Template(CHATML).render([Message(role="user", content="x" * 2000)], max_chars=1000)


texts = st.text(max_size=40)
talks = st.lists(
    st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=texts),
    min_size=1,
    max_size=8,
)


@given(talks, st.booleans())
def test_text_goes_through_a_template_unchanged(talk: list[Message], opened: bool) -> None:
    expected = "".join(f"<|{message.role}|>{message.content}\n" for message in talk)
    text = Template(CHATML).render(talk, add_generation_prompt=opened)
    assert text == expected + ("<|assistant|>" if opened else "")


@given(st.text(max_size=60))
def test_content_is_never_read_as_a_template(content: str) -> None:
    hostile = content + "{{ 7 * 7 }}{% for %}"
    assert hostile in for_model(None).render([Message(role="user", content=hostile)])
