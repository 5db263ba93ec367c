"""The result of a tool call, written by hand: Hearth runs no tool, but a person may say what one gave."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static, TextArea

from engine.text_safety import clean, plain
from engine.types import ToolCall
from tui.dialogue import Dialogue
from tui.screens.chat.rows import Tick
from tui.stream.calls import GLYPH
from tui.stream.code import highlight_lines
from tui.telling.json_layout import laid_out

MOST_LINES = 200
"""Lines of arguments that are shown above the result; a tool that takes more is answered without seeing all."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gave, whether it failed, and whether the model goes on from it at once."""

    text: str
    failed: bool
    resend: bool


class CallDialogue(Dialogue[Result | None]):
    """Asks for the result of `call`; `waiting` further calls of the message have none yet."""

    HELP = "What you write goes to the model as the tool's result. Nothing is run."
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss", "Cancel", id="call.cancel"),
        Binding("ctrl+s", "save(False)", "Save only", priority=True, id="call.save"),
        Binding("ctrl+r", "save(True)", "Save & go on", priority=True, id="call.resend"),
    ]

    def __init__(self, call: ToolCall, waiting: int) -> None:
        super().__init__()
        self._call, self._waiting = call, waiting

    def compose(self) -> ComposeResult:
        """The call, the result, the buttons."""
        with Vertical(classes="dialogue") as box:
            box.border_title = f"Result of {GLYPH} {plain(self._call.name, 50)}"
            box.border_subtitle = "nothing is run · esc close"
            with VerticalScroll(id="arguments", can_focus=False):
                yield Static(self._arguments())
            yield TextArea(
                show_line_numbers=False,
                tab_behavior="focus",
                highlight_cursor_line=False,
                placeholder="What the tool gives: text or JSON",
            )
            yield Tick("the tool failed")
            with Horizontal(id="buttons"):
                if self._waiting:
                    left = f"{self._waiting} more call{'' if self._waiting == 1 else 's'}"
                    yield Button(f"Save, then {left}  ^r", id="resend", variant="primary", compact=True)
                else:
                    yield Button("Save & go on  ^r", id="resend", variant="primary", compact=True)
                yield Button("Save only  ^s", id="save", compact=True)
                yield Button("Cancel  esc", id="cancel", compact=True)

    def _arguments(self) -> Content:
        lines = laid_out(clean(self._call.arguments)).split("\n")
        shown = highlight_lines(lines[:MOST_LINES], "json")
        if len(lines) > MOST_LINES:
            shown.append(Content.styled(f"… {len(lines) - MOST_LINES:,} more lines", "$muted"))
        return Content("\n").join(shown)

    def on_mount(self) -> None:
        """Begin writing."""
        self.query_one(TextArea).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "cancel":
            self.dismiss(None)
        else:
            self.action_save(event.button.id == "resend")

    def action_save(self, resend: bool) -> None:
        """Close with the result; an empty one is a result too."""
        text = clean(self.query_one(TextArea).text)
        self.dismiss(Result(text, self.query_one(Tick).value, resend))
