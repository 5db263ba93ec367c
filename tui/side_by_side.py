"""Two answers side by side, as they are written: what the arena and the chat show of two models.

pair = SideBySide()
pair.show(0, view, over=False)      # any time; `view.text` and `view.reasoning` are all that is written so far
"""

from __future__ import annotations

from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll

from tui.stream.answer import StreamingAnswer
from tui.stream.frozen import MessageView

NEAR = 2
"""Rows from its end within which an answer is followed."""


class Side(VerticalScroll, can_focus=True):
    """One of the two. It follows its end until somebody scrolls."""

    HELP = "One of two answers to the same. Up and down scroll, tab goes to the other."
    BINDING_GROUP_TITLE = "Answer"

    def __init__(self, place: int) -> None:
        super().__init__(id=f"side-{place}")
        self._answer: StreamingAnswer | None = None
        self._text = self._reasoning = ""

    def show(self, view: MessageView, *, over: bool) -> None:
        """Show what is new of an answer; another id begins another answer."""
        answer = self._answer
        if answer is None or answer.view.id != view.id:
            self.remove_children()
            self._text = self._reasoning = ""
            self._answer = answer = StreamingAnswer(replace(view, text="", reasoning=""))
            self.mount(answer)
        follows = self.scroll_y >= self.max_scroll_y - NEAR
        if len(view.reasoning) > len(self._reasoning):
            answer.append_reasoning(view.reasoning[len(self._reasoning) :])
            self._reasoning = view.reasoning
        if len(view.text) > len(self._text):
            answer.append(view.text[len(self._text) :])
            self._text = view.text
            if follows:  # no anchor: that would put a short answer at the bottom
                self.scroll_end(animate=False)
        answer.show(view)
        if over:
            answer.finish()

    def clear(self) -> None:
        """Show nothing."""
        self.remove_children()
        self._answer = None


class SideBySide(Horizontal):
    """The two; below 80 cells they stand one above the other. The class `-chosen` marks one."""

    DEFAULT_CSS = """
    SideBySide { height: 1fr; }
    SideBySide Side { width: 1fr; height: 1fr; padding: 0 0 0 1; border: round $line; }
    SideBySide Side:focus { border: round $border; }
    SideBySide Side.-chosen { border: heavy $primary; }
    SideBySide.-stacked { layout: vertical; }
    """
    NARROW = 80

    def compose(self) -> ComposeResult:
        """Left and right."""
        yield Side(0)
        yield Side(1)

    def on_resize(self) -> None:
        """One above the other where there is little room."""
        self.set_class(self.size.width < self.NARROW, "-stacked")

    def side(self, place: int) -> Side:
        """0 is the left one."""
        return self.query_one(f"#side-{place}", Side)

    def show(self, place: int, view: MessageView, *, over: bool) -> None:
        """See `Side.show`."""
        self.side(place).show(view, over=over)

    def choose(self, place: int | None) -> None:
        """Mark one, or none."""
        for each in (0, 1):
            self.side(each).set_class(each == place, "-chosen")
