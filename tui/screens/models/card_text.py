"""The card of a repository as text on the screen: Markdown from strangers, laid out away from the screen's loop."""

from __future__ import annotations

import asyncio
from functools import partial

from textual.content import Content

from engine.text_safety import clean
from tui.stream.blocks import layout
from tui.stream.lines import Line, wrap_content
from tui.stream.splitter import split
from tui.stream.view import LineView
from tui.telling.cards import readable


class CardText(LineView):
    """Shows a card. While a width is laid out, the lines of the last one stand."""

    DEFAULT_CSS = """
    CardText { width: 1fr; height: auto; padding: 0; margin-top: 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="card")
        self._text = ""
        self._drawn: list[Line] = []
        self._drawn_for: tuple[str, int] = ("", -1)
        self._asked: tuple[str, int] = ("", -1)

    def show(self, text: str) -> None:
        """Show `text`; nothing if it is empty."""
        if text != self._text:
            self._text = text
            self._drawn = []
            self.forget_layout()

    def lay_out(self, width: int) -> list[Line]:
        """What is laid out by now."""
        wanted = (self._text, width)
        if wanted not in (self._drawn_for, self._asked):
            self._asked = wanted
            self.call_later(self.run_worker, partial(self._make, *wanted), group="card", exclusive=True)
        return self._drawn

    async def _make(self, text: str, width: int) -> None:
        lines = await asyncio.to_thread(drawn, text, width)
        self._drawn, self._drawn_for = lines, (text, width)
        self._asked = ("", -1)
        self.forget_layout()


def drawn(text: str, width: int) -> list[Line]:
    """The rows of a card. Takes up to half a second for the longest."""
    said, cut = readable(clean(text))
    lines = layout(split(said), width) if said else []
    if cut:
        rows = wrap_content(Content.styled("… and more, at the hub.", "$foreground-muted"), width)
        lines += [Line(Content("")), *(Line(content, copied=False) for content, _ in rows)]
    return lines
