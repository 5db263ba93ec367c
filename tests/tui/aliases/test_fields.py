"""An alias as text and back: every field of the schema, and opening messages whatever they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.types import AdapterRef, Alias, ImagePart, LoadOptions, Message, Sampling, Thinking
from tui.screens.aliases import messages, values
from tui.screens.aliases.fields import HELP, NESTED, fields

FULL = Alias(
    model="ember:poet",
    description="d",
    licence="MIT\n\ntext",
    system="a\n  b\n",
    prompt="poet@3",
    template="{{ messages }}\n",
    messages=(Message(role="user", content="hi"), Message(role="assistant", content="a\nuser: x\n\\user: y")),
    sampling={
        "temperature": 0.5, "top_k": 7, "seed": -1, "mirostat": 2, "ignore_eos": False,
        "logit_bias": {42: -1.5}, "banned_tokens": (1, 2), "dry_sequence_breakers": ("\n", "\\n", "\t"),
        "samplers": ("top_k",),
    },
    stop=("\n\n", "\\", "a b", " lead"),
    max_tokens=5,
    json_mode=True,
    thinking=Thinking(enabled=False, effort="none", budget=0, visible=False),
    overflow="refuse",
    adapters=(AdapterRef("poet", 0.5), AdapterRef("x")),
    load=LoadOptions(context=512, load_in_8bit=True, kv_type="q8_0", use_mmap=False, dtype="bfloat16", gpu_layers=-1),
    backend="mlx",
    keep_alive=90.0,
    image_max_side=640,
)  # fmt: skip


def test_every_field_of_the_schema_has_a_row_and_an_explanation() -> None:
    expected = {name for name in Alias.__struct_fields__ if name not in NESTED}
    expected |= {f"{table}.{name}" for table, kind in NESTED.items() for name in kind.__struct_fields__}
    assert set(fields()) == expected
    assert set(HELP) == expected, "explain a new field in fields.HELP"
    assert "sampling.temperature" in fields() and len(fields()) > len(Sampling.__struct_fields__)


def test_what_is_typed_gives_the_same_alias_again() -> None:
    made = Alias(model="-")
    for key in fields():
        made = values.with_text(made, key, values.text_of(FULL, key))
    assert made == FULL
    for key in values.said(made):
        made = values.with_text(made, key, "")
    assert made == Alias(model="ember:poet")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("sampling.temperature", "warm"), ("sampling.temperature", "9"), ("sampling.top_k", "1.5"),
        ("sampling.logit_bias", '{"a": 1}'), ("max_tokens", "0"), ("max_tokens", "many"), ("model", "  "),
        ("load.context", "4"), ("load.slots", "[1]"), ("keep_alive", "soon"), ("image_max_side", "63"),
        ("stop", "x" * 257), ("messages", "who: am I"), ("adapters", "a=b"), ("thinking.budget", "-1"),
        ("load.kv_type", "q3"), ("max_tokens", "[" * 100_000),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(key: str, text: str) -> None:
    with pytest.raises(InvalidRequest):
        values.with_text(FULL, key, text)


@given(
    st.lists(
        st.builds(
            Message,
            role=st.sampled_from(["system", "user", "assistant"]),
            content=st.one_of(
                st.text(),
                st.text(alphabet="\\user: \nassistant:"),
                st.sampled_from(["", "user:", "a\n\nUSER: b"]),
            ),
        )
    )
)
def test_messages_that_text_can_hold_come_back(talk: list[Message]) -> None:
    if messages.editable(talk):
        assert messages.read(messages.written(talk)) == tuple(talk)


def test_messages_that_text_cannot_hold_are_known() -> None:
    assert not messages.editable([Message(role="user", content=(ImagePart(data=b"x"),))])
    assert not messages.editable([Message(role="tool", content="x", tool_call_id="1")])
    assert messages.editable([Message(role="user", content="a\n\nb")])


@given(st.lists(st.text(min_size=1, max_size=20)).map(tuple))
def test_stop_texts_come_back_whatever_they_hold(stop: tuple[str, ...]) -> None:
    text = values.text_of(Alias(model="-", stop=stop), "stop")
    assert values.with_text(Alias(model="-"), "stop", text).stop == stop
