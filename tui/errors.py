"""Shows an error as what, why and fix, and lets it be copied."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.errors import ErrorInfo, HearthError
from engine.text_safety import clean
from tui.dialogue import Dialogue


def described(error: Exception | ErrorInfo) -> ErrorInfo:
    """`error` as data for people; an exception from outside Hearth's tree is a defect, and said to be one."""
    if isinstance(error, ErrorInfo):
        return error
    if isinstance(error, HearthError):
        return error.info
    return ErrorInfo(
        code="internal_error",
        what="Hearth did something wrong.",
        why=f"{type(error).__name__}: {error}",
        fix="The rest goes on. Copy this with y for a report; the logs (ctrl+l) may say more.",
    )


class ErrorDialogue(Dialogue[None]):
    """An error in a dialogue of its own."""

    DEFAULT_CSS = """
    ErrorDialogue .dialogue { border: round $error; border-title-color: $error; }
    ErrorDialogue Static { height: auto; margin-bottom: 1; }
    ErrorDialogue .keys { color: $muted; margin: 0; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("escape,enter,q", "dismiss", "Close", id="error.close"),
        Binding("y", "copy_error", "Copy", id="error.copy"),
    ]

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__()
        self.info = info

    def compose(self) -> ComposeResult:
        """What in bold, why below, the remedy last."""
        info = self.info
        with VerticalScroll(classes="dialogue") as box:
            box.border_title = "✗ Error"
            box.border_subtitle = clean(info.code)
            yield Static(Content.styled(clean(info.what), "bold"), classes="what")
            if info.why:
                yield Static(Content(clean(info.why)), classes="why")
            if info.fix:
                yield Static(Content.assemble(("→ ", "$success"), clean(info.fix)), classes="fix")
            yield Static(Content("esc close   y copy"), classes="keys")

    def action_copy_error(self) -> None:
        """Copy all three sentences."""
        self.hearth.copy(clean(self.info.sentence()))
