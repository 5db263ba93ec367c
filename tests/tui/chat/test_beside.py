"""Another model asked the same, both answers on screen; and messages that are starred."""

from __future__ import annotations

from engine.types import GenerationRequest
from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import shown, until
from tui.picker import ModelPicker
from tui.screens.chat.beside import Beside


def answering(request: GenerationRequest) -> str:
    return f"{request.model} says so."


async def test_another_model_answers_beside_and_either_can_be_gone_on_from(chat) -> None:
    async with chat(fake_engine(answer=answering)) as it:
        await it.say("Who is right?")
        first = it.path[-1]
        await it.press("escape", "b")
        assert isinstance(it.app.screen, ModelPicker)
        await until(it.pilot, lambda: "smollm3-3b" in shown(it.app))
        await it.press(*"smollm", "enter")
        await until(
            it.pilot, lambda: isinstance(it.app.screen, Beside) and "smollm3-3b says so." in shown(it.app)
        )
        assert f"{first.model} says so." in shown(it.app)
        assert it.engine.requests[-1].model == "smollm3-3b"
        assert [each.text for each in it.engine.requests[-1].messages or ()] == ["Who is right?"]
        await it.press("right", "enter")
        await it.until(lambda: it.path[-1].content == "smollm3-3b says so.")
        await it.until(it.is_shown)
        assert "branch 2/2" in it.text_on_screen()
        # The conversation's own model answers next, and what it reads is what was chosen.
        await it.say("Why?")
        assert it.engine.requests[-1].model == first.model
        assert [each.text for each in it.engine.requests[-1].messages or ()][1] == "smollm3-3b says so."
        await it.type_command("/beside smollm3-3b")
        await until(it.pilot, lambda: isinstance(it.app.screen, Beside))
        await it.press("escape")
        await it.until(lambda: it.path[-1].model == first.model)
        assert it.conversation.place(it.path[-1].id) == (1, 2)


async def test_a_star_is_kept_and_shown_until_it_is_taken_back(chat) -> None:
    async with chat(fake_engine(answer=answering)) as it:
        await it.say("Is this good?")
        await it.press("escape", "s")
        await it.until(lambda: "★" in it.text_on_screen())

        async def starred() -> list[str]:
            return [each.messages[-1].content for each in await it.engine.conversations.starred()]

        while await starred() != [it.path[-1].content]:
            await it.pilot.pause(0.01)
        await it.type_command("/star")
        await it.until(lambda: "★" not in it.text_on_screen())
        while await starred():
            await it.pilot.pause(0.01)
