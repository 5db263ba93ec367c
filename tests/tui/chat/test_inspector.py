"""The inspector: values reach the request, wrong ones are shown where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Static, TextArea

from cli.options import BY_NAME, OPTIONS
from engine.errors import InvalidRequest
from engine.types import CachePolicy, LoadOptions, Sampling
from tests.tiers import mostly_long
from tests.tui.shell.screen_text import shown
from tui.screens.chat.controls import INSPECTED, NAMES, SYNONYMS, text_of, with_value
from tui.screens.chat.conversation import Controls
from tui.screens.chat.inspector import FieldRow


async def test_a_value_wider_than_its_field_can_be_read(chat) -> None:
    async with chat(size=(80, 40)) as it:
        await it.press("ctrl+e")
        entry = it.screen.inspector.query_one("#set-seed", Input)
        entry.focus()
        entry.value = "1234567890" * 4
        await it.until(lambda: entry.show_horizontal_scrollbar or "1234567" in shown(it.app))
        await it.pilot.pause()
        assert "1234567" in shown(it.app)


async def test_values_reach_the_request(chat) -> None:
    async with chat(size=(120, 50)) as it:
        await it.press("ctrl+e")
        inspector = it.screen.inspector
        assert inspector.display
        inspector.query_one("#system", TextArea).load_text("Answer in one word.")
        values = {
            "temperature": "0.1",
            "top_p": "0.5",
            "top_k": "7",
            "min_p": "0.05",
            "repetition_penalty": "1.1",
            "presence_penalty": "0.2",
            "frequency_penalty": "-0.2",
            "seed": "42",
            "max_new_tokens": "99",
            "ctx": "4096",
        }
        assert set(values) == {field.name for field in INSPECTED}
        for name, text in values.items():
            inspector.query_one(f"#set-{name}", Input).value = text
        it.screen.inspector.query_one("#thinking").focus()
        await it.press("space")
        await it.say("Hello")
        request = it.engine.requests[-1]
        assert request.system == "Answer in one word."
        assert request.sampling == {
            "temperature": 0.1,
            "top_p": 0.5,
            "top_k": 7,
            "min_p": 0.05,
            "repetition_penalty": 1.1,
            "presence_penalty": 0.2,
            "frequency_penalty": -0.2,
            "seed": 42,
        }
        assert request.max_tokens == 99 and request.load.context == 4096 and request.thinking.enabled is True


@pytest.mark.parametrize(
    ("name", "text"),
    mostly_long(
        [("temperature", "9"), ("top_p", "x"), ("top_k", "1.5"), ("max_new_tokens", "0"), ("ctx", "-8")], 1
    ),
)
async def test_a_wrong_value_is_told_in_place_and_not_used(chat, name: str, text: str) -> None:
    async with chat(size=(120, 50)) as it:
        await it.press("ctrl+e")
        row = next(row for row in it.screen.inspector.query(FieldRow) if row.field.name == name)
        row.query_one(Input).value = text
        await it.until(lambda: row.has_class("-wrong"))
        assert row.query_one(".wrong", Static).display
        assert it.conversation.controls == Controls()
        row.query_one(Input).value = ""
        await it.until(lambda: not row.has_class("-wrong"))


@pytest.mark.parametrize(
    ("text", "field", "value"),
    mostly_long(
        [
            ("stop END 'two words'", "stop", ("END", "two words")),
            ("overflow shift", "overflow", "shift"),
            ("cache off", "cache", CachePolicy(read=False, write=False)),
            ("draft_tokens 4", "load", LoadOptions(draft_tokens=4)),
            ("draft_model ember", "load", LoadOptions(draft_model="ember")),
            ("gpu_layers -1", "load", LoadOptions(gpu_layers=-1)),
            ("keep_alive 1h", "keep_alive", 3600.0),
            ("backend llama", "backend", "llama"),
        ],
        2,
    ),
)
async def test_what_is_set_reaches_the_request(chat, text: str, field: str, value: object) -> None:
    async with chat() as it:
        await it.type_command(f"/set {text}")
        await it.say("Hello")
        assert getattr(it.engine.requests[-1], field) == value


@pytest.mark.parametrize(
    "text", ["stop 'a", "stop ''", "overflow no", "cache maybe", "slots 0", "kv_type q9", "keep_alive soon"]
)
def test_what_cannot_be_used_is_refused_by_name(text: str) -> None:
    name, _, value = text.partition(" ")
    with pytest.raises(InvalidRequest, match=f"`{name}` has a value that cannot be used"):
        with_value(Controls(), name, value)


async def test_each_conversation_has_its_own(chat) -> None:
    async with chat(size=(120, 50)) as it:
        await it.press("ctrl+e")
        it.screen.inspector.query_one("#set-temperature", Input).value = "0.1"
        await it.say("Hello")
        await it.press("ctrl+n")
        await it.until(lambda: it.screen.inspector.query_one("#set-temperature", Input).value == "")
        assert it.conversation.controls == Controls()
        await it.press("ctrl+pageup")
        await it.until(lambda: it.screen.inspector.query_one("#set-temperature", Input).value == "0.1")
        assert it.conversation.controls.sampling == {"temperature": 0.1}


SETTABLE = {
    "system": "Be kind.",
    "adapter": "pirate=0.5+poet",
    "think": "off",
    "effort": "high",
    "think_budget": "64",
    "tools": "tools.json",
    "tool_choice": "required",
    "max_new_tokens": "8",
    "ctx": "8",
    "stop": "END 'two words'",
    "overflow": "shift",
    "cache": "off",
    "keep_alive": "300",
    "backend": "llama",
    "kv_type": "q8_0",
    "load_in_8bit": "on",
    "load_in_4bit": "on",
    "image_max_side": "512",
    "draft_model": "ember",
    "device": "cuda:1",
    "split": "3,1",
    "json": "on",
    "schema": "schema.json",
    "regex": "[0-9]+",
    "choice": "yes | no",
    "grammar": "grammar.gbnf",
    "samplers": '["top_k"]',
    "logit_bias": '{"5": 1.5}',
    "banned_tokens": "[3]",
    "ignore_eos": "true",
    "dry_sequence_breakers": '["x"]',
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tools, a schema and a grammar, the current one."""
    (tmp_path / "tools.json").write_text('[{"type": "function", "function": {"name": "weather"}}]')
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    (tmp_path / "grammar.gbnf").write_text('root ::= "a"')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_set_shown_and_taken_back(name: str, files: Path) -> None:
    controls = with_value(Controls(), name, SETTABLE.get(name, "1"))
    shown = text_of(controls, name)
    assert with_value(Controls(), name, shown) == controls != Controls()
    assert with_value(controls, name, "") == Controls()


@pytest.mark.parametrize(("synonym", "name"), SYNONYMS.items())
def test_other_names_that_people_know_are_taken(synonym: str, name: str, files: Path) -> None:
    text = SETTABLE[name]
    assert with_value(Controls(), synonym, text) == with_value(Controls(), name, text)


def test_the_names_are_those_of_the_flags_of_the_plain_chat() -> None:
    """But for what has no place here: thinking is folded, probabilities are lines, sampling values have names."""
    assert {name for name in NAMES if name not in Sampling.__struct_fields__} <= set(BY_NAME)
    assert set(BY_NAME) - set(NAMES) == {"hide_thinking", "logprobs", "sampling"}
    assert {option.also for option in OPTIONS if option.also} <= set(SYNONYMS)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        with_value(Controls(), "warmth", "1")
    with pytest.raises(InvalidRequest):
        with_value(Controls(), "thinking", "perhaps")
