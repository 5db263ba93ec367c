"""The app that `test_terminal_bytes.py` runs in a pseudo-terminal: shows argv's file of payloads, then quits.

The file holds payloads separated by NUL bytes. Each is shown as a frozen message of each role, streamed
character by character as an answer and as thinking, and used as a title and a meta line, in prose and in
code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from textual.app import App

from tui.base import BaseScreen
from tui.stream.frozen import MessageView
from tui.stream.window import MessageWindow

DONE = "every-payload-was-shown"


class PayloadScreen(BaseScreen):
    def compose(self) -> Iterator[MessageWindow]:
        yield MessageWindow()


class PayloadApp(App[None]):
    def __init__(self, payloads: list[str]) -> None:
        super().__init__()
        self.payloads = payloads

    def get_default_screen(self) -> PayloadScreen:
        return PayloadScreen()

    def on_ready(self) -> None:
        self.run_worker(self.show_all())

    async def show_all(self) -> None:
        window = self.screen.query_one(MessageWindow)
        for number, payload in enumerate(self.payloads):
            text = f"{payload}\n\n```{payload}\n{payload}\n```\n- {payload}\n\n| {payload} | b |\n|---|---|\n"
            view = MessageView(
                f"m{number}", "user", text, title=payload, meta=payload, reasoning=payload, folded=False
            )
            await window.append(view)
            answer = await window.stream(MessageView(f"s{number}", "assistant", "", title=payload))
            for character in payload:
                answer.append_reasoning(character)
            for character in text:
                answer.append(character)
            await self.painted()
            await window.finish(answer, meta=payload)
            await self.painted()
        await window.append(MessageView("done", "assistant", DONE))
        await self.painted()
        self.exit()

    async def painted(self) -> None:
        """Wait until what was asked for is on the terminal's side of the driver."""
        done = self.screen.query_one(MessageWindow)
        await done.wait_for_refresh()


if __name__ == "__main__":
    PayloadApp(Path(sys.argv[1]).read_bytes().decode("utf-8").split("\0")).run()
