"""Adapters: chosen among those that the model has, shown with its name, remembered by each answer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.types import AdapterRef
from tests.tiers import mostly_long
from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import shown
from tui.adapter_picker import AdapterPicker

PIRATE, POET = AdapterRef("pirate"), AdapterRef("poet")


async def opened(it) -> AdapterPicker:
    await it.until(lambda: isinstance(it.app.screen, AdapterPicker))
    return it.app.screen


@pytest.mark.parametrize("way", mostly_long(["key", "command", "inspector", "palette"], 2))
async def test_the_picker_opens_from_everywhere_and_enter_takes_one(chat, way: str) -> None:
    async with chat(size=(120, 50)) as it:
        await it.say("Hello")
        if way == "key":
            await it.press("escape", "a")
        elif way == "command":
            await it.type_command("/adapter")
        elif way == "inspector":
            await it.press("ctrl+e")
            it.screen.inspector.query_one("#adapter").focus()
            await it.press("enter")
        else:
            await it.press("ctrl+p")  # from the prompt, in which the letter is text
            await it.press(*"adapters", "enter")
        await opened(it)
        await it.press("down", "down", "enter")
        await it.until(lambda: it.conversation.controls.adapters == (PIRATE,))
        await it.say("Again")
        assert it.engine.requests[-1].adapters == (PIRATE,)


async def test_the_key_is_text_in_the_prompt(chat) -> None:
    async with chat() as it:
        await it.press(*"alas")
        assert it.screen.composer.prompt.text == "alas"
        assert not it.app.screen.is_modal


async def test_each_answer_remembers_what_it_was_made_with(chat) -> None:
    async with chat() as it:
        await it.say("one")
        await it.type_command("/adapter pirate=0.5+poet")
        await it.until(lambda: it.conversation.controls.adapters)
        assert "◆ ember + pirate × 0.5 + poet" in shown(it.app)
        await it.say("two")
        await it.type_command("/adapter base")
        await it.say("three")
        asked = [request.adapters for request in it.engine.requests]
        assert asked == [None, (AdapterRef("pirate", 0.5), POET), ()]
        assert [node.adapters for node in it.path if node.role == "assistant"] == [
            (),
            (AdapterRef("pirate", 0.5), POET),
            (),
        ]
        assert it.text_on_screen().count("◆ ember + pirate × 0.5 + poet") == 1
        await it.type_command("/adapter default")
        await it.say("four")
        assert it.engine.requests[-1].adapters is None


async def test_several_are_marked_and_scaled(chat) -> None:
    async with chat() as it:
        await it.say("one")
        await it.press("escape", "a")
        await opened(it)
        await it.press("down", "down", "space", "left", "left", "down", "right", "enter")
        await it.until(lambda: it.conversation.controls.adapters)
        assert it.conversation.controls.adapters == (AdapterRef("pirate", 0.8), AdapterRef("poet", 1.1))
        await it.press("a")
        await opened(it)
        await it.press("down", "enter")  # from pirate, which holds, to poet: taken alone with its scale
        await it.until(lambda: it.conversation.controls.adapters == (AdapterRef("poet", 1.1),))
        await it.press("a")
        await opened(it)
        await it.press("space", "escape")
        assert it.conversation.controls.adapters == (AdapterRef("poet", 1.1),)


async def test_broken_adapters_are_named_with_their_reason(chat) -> None:
    async with chat() as it:
        await it.say("one")
        await it.press("escape", "a")
        await opened(it)
        assert "✗ fancy" in shown(it.app) and "use_dora" in shown(it.app)


async def test_a_model_without_adapters_says_where_they_would_be(chat) -> None:
    async with chat() as it:
        await it.type_command("/model qwen3-8b-instruct")
        await it.type_command("/adapter")
        await opened(it)
        assert "This model has no adapters" in shown(it.app)
        await it.press("enter")
        await it.until(lambda: not it.app.screen.is_modal)
        assert it.conversation.controls.adapters is None


@pytest.mark.parametrize("text", mostly_long(["pirat", "fancy", "pirate=much", "base+poet"], 2))
async def test_an_adapter_that_cannot_be_used_is_refused_with_what_can(chat, text: str) -> None:
    async with chat() as it:
        await it.until(lambda: it.screen.entries)
        told: list[str] = []
        it.app.flash = lambda words, kind="info": told.append(f"{kind}: {words}")
        await it.type_command(f"/adapter {text}")
        await it.until(lambda: told)
        assert told[0].startswith("error: ") and it.conversation.controls.adapters is None
        if text == "pirat":
            assert "Did you mean pirate?" in told[0]
        if text == "fancy":
            assert "use_dora" in told[0]


async def test_another_model_leaves_the_adapters_of_the_one_before(chat) -> None:
    async with chat() as it:
        await it.until(lambda: it.screen.entries)
        await it.type_command("/adapter pirate")
        await it.until(lambda: it.conversation.controls.adapters == (PIRATE,))
        told: list[str] = []
        it.app.flash = lambda words, kind="info": told.append(words)
        await it.type_command("/model qwen3-8b-instruct")
        await it.until(lambda: told)
        assert it.conversation.controls.adapters is None
        assert any("has no adapter pirate" in words for words in told)


async def test_what_runs_keeps_the_adapters_that_it_was_asked_with(chat) -> None:
    async with chat(fake_engine(answer="a b c", hold=True)) as it:
        await it.ask("one")
        it.stream.release(3)
        await it.type_command("/adapter pirate")
        it.stream.release()
        await it.idle()
        assert it.path[-1].adapters == () and "ember + pirate" not in it.text_on_screen()
        assert it.app.chat_status.adapters == "pirate"


async def test_each_conversation_has_its_own_adapters(chat) -> None:
    async with chat() as it:
        await it.say("one")
        await it.type_command("/adapter pirate")
        await it.until(lambda: it.conversation.controls.adapters == (PIRATE,))
        await it.press("ctrl+n")
        await it.until(lambda: it.app.chat_status.adapters == "")
        await it.say("two")
        assert it.engine.requests[-1].adapters is None
        await it.press("ctrl+pageup")
        await it.until(lambda: it.app.chat_status.adapters == "pirate")


async def test_a_refusal_is_read_to_its_end_on_a_narrow_screen(chat) -> None:
    async with chat(size=(80, 24)) as it:
        await it.type_command("/adapter pirate-with-a-long-name-that-nobody-has")
        await it.until(lambda: "It has: pirate, poet." in shown(it.app))
        await it.type_command("/set temprature 1")
        await it.until(lambda: "Did you mean temperature?" in shown(it.app))


async def test_a_model_with_a_tag_is_chosen_by_its_whole_name(chat) -> None:
    engine = fake_engine()
    engine.entries.append(replace(engine.entries[0], id="qwen3:8b"))
    async with chat(engine) as it:
        await it.type_command("/model qwen3:8b")
        await it.until(lambda: it.app.chat_model == "qwen3:8b")
        assert it.screen.model_id == "qwen3:8b"
        await it.type_command("/adapter pirate")
        await it.until(lambda: it.conversation.controls.adapters == (PIRATE,))
