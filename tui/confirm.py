"""A question with two answers; the careful one is the default."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from engine.text_safety import clean
from tui.dialogue import Dialogue


class Confirm(Dialogue[bool]):
    """Asks `question`; True on y or enter when `default` is yes, False on n or escape."""

    DEFAULT_CSS = """
    Confirm .dialogue { width: 60; }
    Confirm .detail { color: $muted; margin-top: 1; }
    Confirm .keys { color: $muted; margin-top: 1; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("y", "answer(True)", "Yes", id="confirm.yes"),
        Binding("n,escape", "answer(False)", "No", id="confirm.no"),
        Binding("enter", "answer_default", "Default", id="confirm.default"),
    ]

    def __init__(self, question: str, detail: str = "", *, default: bool = False) -> None:
        super().__init__()
        self.question, self.detail, self.default = question, detail, default

    def compose(self) -> ComposeResult:
        """The question, what it means, the keys."""
        with Vertical(classes="dialogue"):
            yield Static(Content.styled(clean(self.question), "bold"))
            if self.detail:
                yield Static(Content(clean(self.detail)), classes="detail")
            keys = "y yes (enter)   n no" if self.default else "y yes   n no (enter)"
            yield Static(Content(keys), classes="keys")

    def action_answer(self, answer: bool) -> None:
        """Close with it."""
        self.dismiss(answer)

    def action_answer_default(self) -> None:
        """Close with the careful answer."""
        self.dismiss(self.default)
