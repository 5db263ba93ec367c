"""A line in passing: feedback that needs no answer, over the keys line for a few seconds; a long one takes more."""

from __future__ import annotations

from typing import Literal

from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from engine.text_safety import plain

Kind = Literal["info", "success", "warning", "error"]
GLYPHS: dict[Kind, str] = {"info": "•", "success": "✓", "warning": "!", "error": "✗"}
VARIABLES: dict[Kind, str] = {"info": "primary", "success": "success", "warning": "warning", "error": "error"}
SECONDS: dict[Kind, float] = {"info": 2.5, "success": 2.5, "warning": 4.0, "error": 6.0}


class Flash(Static):
    """The line; it removes itself."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Flash {
        layer: flash; dock: bottom; height: auto; max-height: 5; width: 1fr; padding: 0 1;
        background: $panel; color: $foreground; text-style: bold;
    }
    """
    _timer: Timer | None = None
    said = ""

    def say(self, text: str, kind: Kind, seconds: float | None = None) -> None:
        """Show `text` for `seconds`, or for the time that its kind deserves."""
        self.said = text
        line = Content.assemble((GLYPHS[kind] + " ", f"${VARIABLES[kind]}"), plain(text))
        self.update(line)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SECONDS[kind] if seconds is None else seconds, self.remove)


def flash(screen: Screen[object], text: str, kind: Kind = "info", seconds: float | None = None) -> None:
    """Say `text` on `screen`, in place of what was said before."""
    present = next((found for found in screen.query(Flash) if found.is_attached and not found._pruning), None)
    if present is None:
        present = Flash()
        screen.mount(present)
    present.say(text, kind, seconds)


def withdraw(screen: Screen[object], text: str) -> None:
    """Take `text` away if it is still what `screen` says."""
    for present in screen.query(Flash):
        if present.said == text:
            present.remove()
