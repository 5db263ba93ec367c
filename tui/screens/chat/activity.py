"""The line between conversation and prompt: what the model is doing, how far it is, whether the screen follows."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from engine.text_safety import plain
from tui import units
from tui.screens.chat.generation import Generation

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
BAR = 12


class ActivityLine(Widget):
    """Draws itself when told; shows nothing while nothing happens."""

    ALLOW_SELECT = False

    class FollowAsked(Message):
        """The chip was clicked."""

    def __init__(self) -> None:
        super().__init__(id="activity")
        self._left = Content("")
        self._right = Content("")
        self._turn = 0

    def tell(self, generation: Generation | None, waiting: int, follow: str, *, moving: bool = True) -> None:
        """Show this state; `follow` is the chip's text, empty for none."""
        if generation is not None:
            self._turn += 1
        left = activity(generation, waiting, SPINNER[self._turn // 2 % len(SPINNER)] if moving else "●")
        right = (
            Content.styled(follow, "$ctx-warn" if "paused" in follow else "$muted") if follow else Content("")
        )
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    def render(self) -> Content:
        """What it does on the left, the chip on the right."""
        width = self.content_region.width
        room = max(0, width - self._right.cell_length - 1)
        left = self._left.truncate(room, ellipsis=True)
        return Content.assemble(left, " " * (width - left.cell_length - self._right.cell_length), self._right)

    def on_click(self, event: events.Click) -> None:
        """A click on the chip follows."""
        if self._right and event.x >= self.size.width - self._right.cell_length - 2:
            self.post_message(self.FollowAsked())


def activity(generation: Generation | None, waiting: int, spinner: str) -> Content:
    """The left part: glyph, words, bar, what stops it."""
    if generation is None:
        return Content("")
    progress = generation.progress
    words = {
        "starting": "the engine starts · your message waits for it",
        "waiting": "sent",
        "queued": f"waiting in the queue, place {progress.detail}",
        "loading": f"loading {plain(generation.request.model, 24)} · {plain(progress.detail, 30)}",
        "prefill": f"reading {units.tokens(generation.prompt_tokens)} tokens",
        "thinking": f"thinking · {generation.tokens} tokens",
        "writing": f"writing · {generation.tokens} tokens",
        "stopping": "stopping",
        "ended": "",
    }[progress.stage]
    bar = ""
    if progress.fraction is not None:
        full = round(BAR * min(1.0, max(0.0, progress.fraction)))
        bar = f" {'━' * full}{'╌' * (BAR - full)} {progress.fraction:.0%}"
    more = "" if not waiting else f" · {waiting} message{'s' if waiting > 1 else ''} after this"
    stop = "" if progress.stage in ("stopping", "ended") else "   esc stops"
    return Content.assemble((f"{spinner} ", "$state-busy"), words, (bar, "$gauge"), more, (stop, "$muted"))
