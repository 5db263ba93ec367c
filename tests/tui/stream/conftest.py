"""A small app around a message window, and the driver of its tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from textual.app import App

from tui.base import BaseScreen
from tui.stream.frozen import MessageView
from tui.stream.window import MessageWindow

Until = Callable[[Callable[[], bool]], object]


class WindowScreen(BaseScreen):
    def compose(self) -> Iterator[MessageWindow]:
        yield MessageWindow()


class WindowApp(App[None]):
    """One screen with one message window."""

    def get_default_screen(self) -> WindowScreen:
        return WindowScreen()

    @property
    def window(self) -> MessageWindow:
        return self.screen.query_one(MessageWindow)


@pytest.fixture
def app() -> WindowApp:
    return WindowApp()


@pytest.fixture
def until() -> Callable[..., object]:
    """Waits for a condition on the running loop, turn by turn; the test's time limit is the bound."""

    async def wait(condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - the conditions are states, which signal nothing
            await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def talk() -> Callable[[int], list[MessageView]]:
    """`talk(n)`: n messages of different heights, ids m0, m1, ..."""

    def make(count: int) -> list[MessageView]:
        return [
            MessageView(
                f"m{n}",
                "user" if n % 2 == 0 else "assistant",
                f"message {n}\n\n" + "words that wrap over several rows " * (n % 7 + 1),
            )
            for n in range(count)
        ]

    return make
