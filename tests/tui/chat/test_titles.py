"""Titles that the model writes: after an answer, in passing, and never over one that a person gave."""

from __future__ import annotations

from engine.settings import Settings
from engine.settings.schema import Ui
from engine.types import ConversationQuery
from tests.tui.fake_engine import fake_engine
from tui.screens.chat.titles import fitting

ASKED = "What is the capital of France, and how many people live there today?"
FIRST_WORDS = "What is the capital of France, and…"


async def test_a_title_is_written_in_passing_once_and_kept(chat) -> None:
    engine = fake_engine()
    engine.aside = '"The capital of France"\n'
    async with chat(engine) as it:
        await it.say(ASKED)
        await it.until(lambda: it.conversation.title == "The capital of France")
        (aside,) = engine.asides
        assert aside.request.priority == "batch" and len(engine.requests) == 1
        assert ASKED in str(aside.request.messages) and aside.request.load == engine.requests[0].load
        await it.say("And of Japan?")
        await it.screen.keeper.settled()
        assert len(engine.asides) == 1, "there is one"
        (found,) = (await engine.conversations.find(ConversationQuery())).found
        assert found.summary.title == "The capital of France"
        # A title that a person gives, also in another conversation, stays.
        await it.press("ctrl+n")
        engine.aside, engine.hold = "Rivers of France", True
        await it.ask(ASKED)
        await it.type_command("/rename Mine")
        await it.until(lambda: it.conversation.title == "Mine")
        it.stream.release()
        await it.idle()
        assert it.conversation.title == "Mine" and len(engine.asides) == 1


async def test_a_question_goes_before_a_title_and_one_that_fits_not_is_none(chat) -> None:
    engine = fake_engine()
    engine.aside = "Something else entirely"
    async with chat(engine) as it:
        await it.say(ASKED)
        await it.until(lambda: engine.asides and engine.asides[0].ended)
        assert it.conversation.title == FIRST_WORDS
        engine.hold, engine.aside = True, "France and its capital"
        await it.ask("And of Japan?")
        it.stream.release()
        await it.until(lambda: len(engine.asides) == 2)
        await it.ask("And of Spain?")
        await it.until(lambda: engine.asides[1].ended)
        assert it.conversation.title == FIRST_WORDS, "it was dropped"
        it.stream.release()
        await it.until(lambda: len(engine.asides) == 3)
        engine.asides[2].release()
        await it.until(lambda: it.conversation.title == "France and its capital")


async def test_the_setting_switches_titles_off(chat) -> None:
    engine = fake_engine()
    engine.aside = "The capital of France"
    async with chat(engine, settings=Settings(ui=Ui(titles=False))) as it:
        await it.say(ASKED)
        await it.say("And of Japan?")
        assert it.conversation.title == FIRST_WORDS and not engine.asides


def test_a_title_that_fits_is_short_and_about_what_was_said() -> None:
    said = "What is the capital of France? 東京はどこ"
    assert fitting("**Title: The French capital**", said) == "The French capital"
    assert fitting("「東京」", said) == "「東京」"
    assert "\x1b" not in fitting("France \x1b[31mcapital", said) != ""
    for useless in ("", "  \n", "Bananas galore", "capital " * 11, "capital" + "x" * 90):
        assert fitting(useless, said) == ""
