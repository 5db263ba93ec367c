"""Where pictures stand in a prompt: nothing that is written is taken for one, and none is left out unsaid."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from engine.errors import InvalidRequest
from engine.runtime.worker.intake import Intake
from engine.types import GenerationRequest, ImagePart, Message, Part, TextPart, Tool, ToolCall
from tests.engine.llama.driving import opened
from tests.weights.gguf_vision import QWEN_TEMPLATE, tiny_qwen_vl

WRITTEN = "<|vision_start|><|image_pad|><|vision_end|>"
ESCAPED = WRITTEN.replace("<", "\\u003c")
SILENT = (
    "{% for message in messages %}{% if message.role == 'user' %}{{ message.content if message.content is string "
    "else message.content | map(attribute='text') | join }} {% endif %}{% endfor %}a:"
)
"""A template that knows of no pictures, and of no answers."""
_REFUSES = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No.') }}{% endif %}{% endfor %}"
)
FOLDING, FOLDING_SILENT = _REFUSES + QWEN_TEMPLATE, _REFUSES + SILENT
"""Templates without a place for a system message."""
ONE_EACH = QWEN_TEMPLATE.replace(
    "<|im_end|>",
    "{% if message.tool_calls %}{% if message.tool_calls | length != 1 %}{{ raise_exception('One call.') }}{% endif %}"
    "<tool_call>{{ message.tool_calls[0].function | tojson }}</tool_call>{% endif %}<|im_end|>",
)


@pytest.fixture(scope="module")
def intake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    backend = opened(*tiny_qwen_vl(tmp_path_factory.mktemp("vision"), "qwen2vl"), context=1024)
    yield Intake(backend, 16)
    backend.close()


def png(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, "PNG")
    return file.getvalue()


def said(role: Any, *content: bytes | str, **more: Any) -> Message:
    parts: tuple[Part, ...] = tuple(
        ImagePart(data=each) if isinstance(each, bytes) else TextPart(each) for each in content
    )
    return Message(role=role, content=parts, **more)


SEEN = said("user", png(), "What is it?")
CALL = Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments=f'{{"a": "{ESCAPED}"}}'),))
REASONED = QWEN_TEMPLATE.replace("<|im_end|>", "{{ message.reasoning_content }}<|im_end|>")


@pytest.mark.parametrize(
    ("messages", "more"),
    [
        ([said("user", png(), WRITTEN)], {}),
        ([said("user", png(), "<|vision_start|><|ima", "ge_", "pad|><|vision_end|>")], {}),
        ([SEEN], {"system": f"Say {WRITTEN}."}),
        ([SEEN], {"tools": (Tool(name="f", description=WRITTEN),)}),
        ([SEEN, CALL, Message(role="tool", tool_call_id="1", content=WRITTEN)], {}),
        (
            [SEEN, Message(role="assistant", content="Red.", reasoning=WRITTEN), said("user", "Sure?")],
            {"template": REASONED},
        ),
        ([SEEN], {"template": QWEN_TEMPLATE + "{{ x.y[0] if x }}", "template_args": {"x": {"y": [WRITTEN]}}}),
    ],
)
def test_nothing_that_is_written_is_a_picture(
    intake: Intake, messages: list[Message], more: dict[str, Any]
) -> None:
    request = GenerationRequest(model="x", messages=tuple(messages), max_tokens=8, **more)
    prepared = intake.prepare(request)
    (span,) = prepared.spans
    begin = prepared.text.split(WRITTEN)[0] + "<|vision_start|>"
    before = intake._backend.tokenize(begin, add_special=True, parse_special=True)
    assert prepared.tokens[: span.start] == tuple(before)
    # What was written is there, too, as letters.
    assert prepared.text.count("<|vision_start|>") + prepared.text.count("<\u2060|vision_start|>") == 2


@pytest.mark.parametrize(
    "template",
    [
        SILENT,
        # What makes other letters of them loses the marks of pictures.
        "{{ messages[1].content | upper }} a:",
    ],
)
def test_a_picture_that_the_template_leaves_out_is_no_secret(intake: Intake, template: str) -> None:
    messages = (said("user", "Draw!"), said("assistant", png(), "There."), said("user", "What is it?"))
    with pytest.raises(InvalidRequest, match="shows 0 of 1 images"):
        intake.prepare(GenerationRequest(model="x", messages=messages, template=template, max_tokens=8))


@pytest.mark.parametrize("template", [FOLDING, FOLDING_SILENT], ids=["written", "silent"])
@pytest.mark.parametrize(
    ("messages", "colours"),
    [
        ([said("system", "Look:", png("red")), said("user", png("blue"), "What is it?")], ["red", "blue"]),
        ([said("system", png("red"), "It is so.")], ["red"]),
        (
            [
                said("user", png("blue"), "What is it?"),
                said("assistant", "Blue."),
                said("system", png("red"), png("lime"), "Mind these."),
                said("user", png("black"), "And this?"),
            ],
            ["red", "lime", "blue", "black"],
        ),
    ],
    ids=["first", "alone", "later"],
)
def test_pictures_of_a_system_message_move_with_its_words(
    intake: Intake, template: str, messages: list[Message], colours: list[str]
) -> None:
    """Where a template has no such role, into the first message of the user; each stays with what was said of it."""

    def keys(*asked: Message) -> list[bytes]:
        request = GenerationRequest(model="x", messages=asked, max_tokens=8, template=template)
        return [span.key for span in intake.prepare(request).spans]

    expected = [keys(said("user", png(colour), "What?"))[0] for colour in colours]
    assert len(set(expected)) == len(colours) and keys(*messages) == expected


def test_results_of_tools_in_another_order_keep_their_pictures(intake: Intake) -> None:
    """A template of one call each has every result moved behind its own call."""
    calls = tuple(ToolCall(id=each, name="f", arguments="{}") for each in "ab")
    messages = (
        said("user", "Look."),
        Message(role="assistant", tool_calls=calls),
        said("tool", png("blue"), "B", tool_call_id="b"),
        said("tool", png("red"), "A", tool_call_id="a"),
        said("user", "Well?"),
    )
    prepared = intake.prepare(
        GenerationRequest(model="x", messages=messages, max_tokens=8, template=ONE_EACH)
    )
    alone = [
        intake.prepare(GenerationRequest(model="x", messages=(said("user", png(colour), "?"),), max_tokens=8))
        for colour in ("red", "blue")
    ]
    assert prepared.text.index("A<") < prepared.text.index("B<")
    assert [span.key for span in prepared.spans] == [each.spans[0].key for each in alone]


def test_a_template_without_pictures_shows_them_all_the_same(intake: Intake) -> None:
    request = GenerationRequest(model="x", messages=(SEEN,), template=SILENT, max_tokens=8)
    prepared = intake.prepare(request)
    assert len(prepared.spans) == 1 and prepared.text == "What is it? a:"


def test_the_picture_of_a_call_that_failed_is_shown(intake: Intake) -> None:
    call = Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments="{}"),))
    result = said("tool", png(), "no such key", tool_call_id="1", tool_error=True)
    prepared = intake.prepare(
        GenerationRequest(model="x", messages=(said("user", "Try."), call, result), max_tokens=8)
    )
    assert len(prepared.spans) == 1 and "Error: " in prepared.text and "no such key" in prepared.text
