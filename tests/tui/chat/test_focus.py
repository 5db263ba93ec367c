"""Between writing and the messages: which keys go over, which do not, and what tells where one is."""

from __future__ import annotations

from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import shown
from tui.help import gather


async def test_escape_just_after_an_answer_stays_in_the_prompt(chat) -> None:
    async with chat(fake_engine(hold=True)) as it:
        await it.ask("Hello")
        it.stream.release()
        await it.until(lambda: not it.screen.presenter.running_ids)
        await it.press("escape")
        assert it.screen.focused is it.screen.composer.prompt
        it.now += 0.99
        await it.press("escape", "x")
        assert it.screen.composer.prompt.text == "x"
        it.now += 0.01
        await it.press("escape")
        assert it.screen.focused is it.screen.view


async def test_the_end_of_another_conversation_keeps_escape_as_it_is(chat) -> None:
    async with chat(fake_engine(hold=True)) as it:
        await it.ask("one")
        it.stream.release()
        await it.idle()
        await it.press("ctrl+n")
        await it.ask("two")
        first, second = it.screen.presenter.conversations.every
        await it.press("ctrl+pageup")
        await it.until(lambda: it.conversation is first)
        it.stream.release()
        await it.until(lambda: not it.screen.presenter.running_ids)
        await it.press("escape")
        assert it.screen.focused is it.screen.view and it.screen.presenter.just_ended(second)


async def test_characters_that_are_no_command_are_written(chat) -> None:
    async with chat() as it:
        await it.say("Hello")
        prompt = it.screen.composer.prompt
        await it.press("escape", "k")  # a command
        assert it.screen.focused is it.screen.view and prompt.text == ""
        await it.press(*"What", "space", *"now")
        assert it.screen.focused is prompt and prompt.text == "What now"
        it.screen.view.focus()
        await it.press("alt+up", "/")
        assert prompt.text == "What now/" and it.screen.view.cursor_id is None


async def test_an_empty_chat_takes_letters_of_message_commands_as_text(chat) -> None:
    async with chat() as it:
        await it.press("up")
        assert it.screen.focused is it.screen.welcome
        await it.press(*"explain")
        assert it.screen.composer.prompt.text == "explain"


async def test_the_prompt_shows_that_it_is_left(chat) -> None:
    async with chat() as it:
        await it.say("Hello")
        assert "Ask anything" in shown(it.app) and "esc to write" not in shown(it.app)
        await it.press("escape")
        assert "i or esc to write" in shown(it.app) and "Ask anything" not in shown(it.app)
        await it.press("i")
        assert "Ask anything" in shown(it.app) and it.screen.composer.prompt.text == ""


async def test_help_in_the_prompt_lists_what_works_there_and_no_letters(chat) -> None:
    async with chat() as it:
        await it.say("Hello")
        sections = gather(it.app).sections
        assert sections[0].title == "Prompt" and sections[-1].title == "Everywhere"
        keys = {key for section in sections for joined, _ in section.rows for key in joined.split("  ")}
        told = {what for section in sections for _, what in section.rows}
        assert "Send" in told and "New conversation" in told
        assert not {what for what in told if "ursor" in what or "Delete" in what}
        assert not {key for key in keys if len(key) == 1 and key.isascii()}
        await it.press("escape")
        rows = [row for section in gather(it.app).sections for row in section.rows]
        assert any("k" in joined.split("  ") for joined, _ in rows)
