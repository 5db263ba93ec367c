"""The line between conversation and prompt: what the model is doing, how far it is, whether the screen follows.

While a model is loaded a second line below it says the stage, and what it takes in memory.
"""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from engine.text_safety import plain
from engine.types import Estimate
from tui.screens.chat.generation import Generation
from tui.telling import memory
from tui.telling.prompt import count
from tui.telling.waiting import bar, stage

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
BAR = 12
LOAD_BAR = 20
NAME = 20
"""Characters of a model's name beside its bar: with 80 columns what cancels a load is still in sight."""


class ActivityLine(Widget):
    """Draws itself when told; shows nothing while nothing happens."""

    ALLOW_SELECT = False

    class FollowAsked(Message):
        """The chip was clicked."""

    def __init__(self) -> None:
        super().__init__(id="activity")
        self._left = Content("")
        self._right = Content("")
        self._below = ""
        self._turn = 0

    def tell(
        self,
        generation: Generation | None,
        waiting: int,
        follow: str,
        *,
        moving: bool = True,
        estimate: Estimate | None = None,
    ) -> None:
        """Show this state; `follow` is the chip's text, empty for none, `estimate` what a load under way takes."""
        if generation is not None:
            self._turn += 1
        left = activity(generation, waiting, SPINNER[self._turn // 2 % len(SPINNER)] if moving else "●")
        right = (
            Content.styled(follow, "$ctx-warn" if "paused" in follow else "$muted") if follow else Content("")
        )
        below = ""
        if generation is not None and generation.progress.stage == "loading":
            below = stage(generation.progress.detail)
            below += f" · {memory.short(estimate)}" if estimate is not None and estimate.total else ""
        if (left, right, below) != (self._left, self._right, self._below):
            higher = bool(below) != bool(self._below)
            self._left, self._right, self._below = left, right, below
            self.set_class(bool(below), "-loading")
            self.refresh(layout=higher)

    def render(self) -> Content:
        """What it does on the left, the chip on the right; below them what a load takes."""
        width = self.content_region.width
        room = max(0, width - self._right.cell_length - 1)
        left = self._left.truncate(room, ellipsis=True)
        gap = " " * (width - left.cell_length - self._right.cell_length)
        line = Content.assemble(left, gap, self._right)
        if not self._below:
            return line
        below = Content.styled(f"  {self._below}", "$muted").truncate(width, ellipsis=True)
        return Content("\n").join([line, below])

    def on_click(self, event: events.Click) -> None:
        """A click on the chip follows."""
        if self._right and event.x >= self.size.width - self._right.cell_length - 2:
            self.post_message(self.FollowAsked())


def activity(generation: Generation | None, waits: int, spinner: str) -> Content:
    """The left part: glyph, words, bar, what stops it."""
    if generation is None:
        return Content("")
    progress = generation.progress
    detail = plain(progress.detail, 40)
    words = {
        "starting": "the engine starts · your message waits for it",
        "waiting": "sent",
        "queued": detail,
        "loading": f"loading {plain(generation.request.model, NAME)}",
        "prefill": f"reading {count(generation.prompt_tokens, 'token')}",
        "thinking": f"thinking · {count(generation.tokens, 'token')}",
        "writing": f"writing · {count(generation.tokens, 'token')}",
        "calling": f"calling {detail or 'a tool'} · {count(generation.tokens, 'token')}",
        "stopping": "stopping",
        "ended": "",
    }[progress.stage]
    drawn = ""
    if progress.fraction is not None:
        width = LOAD_BAR if progress.stage == "loading" else BAR
        drawn = f" {progress.fraction:.0%} {bar(progress.fraction, width)}"
    more = "" if not waits else f" · {waits} message{'s' if waits > 1 else ''} after this"
    ends = "esc cancels" if progress.stage in ("queued", "loading") else "esc stops"
    stop = "" if progress.stage in ("stopping", "ended") else f"   {ends}"
    return Content.assemble((f"{spinner} ", "$state-busy"), words, (drawn, "$gauge"), more, (stop, "$muted"))
