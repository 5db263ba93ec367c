"""The list of conversations: there when it is shown, and a way from one conversation to another."""

from __future__ import annotations

import pytest


def listed(it) -> list[str]:
    """What the list says, a line each."""
    sidebar = it.screen.sidebar
    return [str(sidebar.get_option_at_index(place).prompt) for place in range(sidebar.option_count)]


@pytest.mark.parametrize("way", ["key", "command"])
async def test_the_list_is_full_when_it_is_shown_and_enter_switches(chat, way: str) -> None:
    async with chat(size=(100, 30)) as it:
        await it.say("first question")
        await it.press("ctrl+n")
        await it.say("second question")
        if way == "key":
            await it.press("ctrl+b")
        else:
            await it.type_command("/conversations")
        await it.until(
            lambda: it.screen.pane_of_conversations.display and it.screen.sidebar.option_count == 2
        )
        assert listed(it) == ["● second question", "  first question"]
        await it.press("down", "enter")
        await it.until(lambda: it.conversation.title == "first question")
        assert it.screen.focused is it.screen.composer.prompt
        await it.until(lambda: listed(it) == ["  second question", "● first question"])


async def test_hiding_the_list_goes_back_to_writing(chat) -> None:
    async with chat(size=(100, 30)) as it:
        await it.say("a question")
        await it.press("ctrl+b")
        await it.until(lambda: it.screen.focused is it.screen.sidebar)
        await it.press("ctrl+b")
        await it.until(lambda: it.screen.focused is it.screen.composer.prompt)
        assert not it.screen.pane_of_conversations.display
