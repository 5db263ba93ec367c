"""Asks for one line of text: a name, a folder, a file."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from engine.text_safety import clean, plain
from tui.dialogue import Dialogue


class LineDialogue(Dialogue[str | None]):
    """Closes with what was written, blank where that means something; None for escape.

    `known` are completed while typing (the right arrow takes what is offered) and listed below.
    """

    HELP = "Write, then press enter. Escape leaves all as it was."
    DEFAULT_CSS = """
    LineDialogue .note { color: $muted; margin-top: 1; height: auto; max-height: 6; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss", "Cancel", id="line.cancel"),
    ]

    def __init__(self, title: str, text: str = "", *, note: str = "", known: Sequence[str] = ()) -> None:
        super().__init__()
        self._title, self._text, self._note, self._known = title, text, note, list(known)

    def compose(self) -> ComposeResult:
        """The line, and what is to be known."""
        with Vertical(classes="dialogue") as box:
            box.border_title = plain(self._title, 60)
            box.border_subtitle = "enter keep · esc cancel"
            suggester = SuggestFromList(self._known, case_sensitive=False) if self._known else None
            yield Input(self._text, suggester=suggester, select_on_focus=False)
            listed = f"There are: {', '.join(plain(each, 40) for each in self._known)}" if self._known else ""
            note = "\n".join(part for part in (self._note, listed) if part)
            if note:
                yield Static(clean(note), classes="note", markup=False)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(clean(event.value).strip())
