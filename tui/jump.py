"""Jump mode: a letter over every pane that takes the focus; pressing it goes there."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Offset
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

LETTERS = "asdfghjklqwertyuiopzxcvbnm"


@dataclass(frozen=True, slots=True)
class Target:
    """A widget, the letter that means it, and the cell where the letter stands."""

    letter: str
    widget: Widget
    at: Offset


def targets(screen: Screen[object]) -> list[Target]:
    """What of `screen` takes the focus and is in sight, in reading order."""
    window = screen.region
    visible = [widget for widget in screen.focus_chain if widget.region and window.overlaps(widget.region)]
    visible.sort(key=lambda widget: (widget.region.y, widget.region.x))
    return [
        Target(letter, widget, widget.content_region.offset)
        for letter, widget in zip(LETTERS, visible, strict=False)
    ]


class JumpOverlay(ModalScreen[Widget | None]):
    """Closes with the widget whose letter was pressed, or None on any other key."""

    DEFAULT_CSS = """
    JumpOverlay { align: left top; background: $background 40%; }
    JumpOverlay .letter {
        position: absolute; width: 3; height: 1; text-align: center;
        background: $primary; color: $background; text-style: bold;
        &:ansi { color: ansi_black; }
        &:nocolor { text-style: bold reverse; }
    }
    JumpOverlay .hint { dock: bottom; width: 1fr; height: 1; padding: 0 1; background: $panel; color: $muted; }
    """

    def __init__(self, found: list[Target]) -> None:
        super().__init__()
        self.found = found

    def compose(self) -> ComposeResult:
        """The letters, and what to do."""
        for target in self.found:
            label = Static(Content(target.letter), classes="letter")
            label.styles.offset = target.at
            yield label
        yield Static(Content("Jump: press a letter · esc stays"), classes="hint")

    def on_key(self, event: events.Key) -> None:
        """A letter jumps, anything else closes."""
        event.stop()
        chosen = next((target.widget for target in self.found if target.letter == event.key), None)
        self.dismiss(chosen)
