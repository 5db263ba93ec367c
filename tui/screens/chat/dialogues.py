"""The chat's dialogues: editing a message, and choosing one of several code blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, OptionList, TextArea
from textual.widgets.option_list import Option

from engine.text_safety import clean, plain
from tui.dialogue import Dialogue


@dataclass(frozen=True, slots=True)
class Edited:
    """What was decided: the new text, and whether to answer it anew."""

    text: str
    resend: bool


class EditDialogue(Dialogue[Edited | None]):
    """Edits a message. Both ways to save make a version beside the old one."""

    HELP = "The old version stays: [ and ] go between the versions of a message."
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss", "Cancel", id="edit.cancel"),
        Binding("ctrl+s", "save(False)", "Save only", priority=True, id="edit.save"),
        Binding("ctrl+r", "save(True)", "Save & regenerate", priority=True, id="edit.resend"),
    ]

    def __init__(self, text: str, *, question: bool) -> None:
        super().__init__()
        self._text, self._question = text, question

    def compose(self) -> ComposeResult:
        """The text and the buttons."""
        with Vertical(classes="dialogue") as box:
            box.border_title = "Edit the question" if self._question else "Edit the answer"
            box.border_subtitle = "the old version stays"
            yield TextArea(
                self._text, show_line_numbers=False, tab_behavior="focus", highlight_cursor_line=False
            )
            with Horizontal(id="buttons"):
                if self._question:
                    yield Button("Save & regenerate  ^r", id="resend", variant="primary", compact=True)
                yield Button("Save only  ^s", id="save", compact=True)
                yield Button("Cancel  esc", id="cancel", compact=True)

    def on_mount(self) -> None:
        """Begin at the end of the text."""
        area = self.query_one(TextArea)
        area.move_cursor(area.document.end)
        area.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """An answer is not answered."""
        return not (action == "save" and parameters == (True,) and not self._question)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "cancel":
            self.dismiss(None)
        else:
            self.action_save(event.button.id == "resend")

    def action_save(self, resend: bool) -> None:
        """Close with the text; a blank one is no message."""
        text = clean(self.query_one(TextArea).text).strip()
        self.dismiss(Edited(text, resend) if text else None)


class CodePicker(Dialogue[int | None]):
    """Chooses one of several code blocks; closes with its place."""

    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss", "Close", id="code.close"),
        *(
            Binding(str(digit), f"take({digit})", show=False, id=f"code.take_{digit}")
            for digit in range(1, 10)
        ),
    ]

    def __init__(self, blocks: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._blocks = blocks

    def compose(self) -> ComposeResult:
        """A line a block: language, size, how it begins."""
        with Vertical(classes="dialogue") as box:
            box.border_title = "Copy which code block?"
            box.border_subtitle = "enter or its number copies · esc close"
            yield OptionList(
                *(Option(_line(place, *block)) for place, block in enumerate(self._blocks, 1)), markup=False
            )

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)

    def action_take(self, digit: int) -> None:
        """The block of that number."""
        if digit <= len(self._blocks):
            self.dismiss(digit - 1)


def _line(place: int, language: str, code: str) -> Content:
    first = next((line for line in code.splitlines() if line.strip()), "")
    count = len(code.splitlines())
    return Content.assemble(
        (f"{place}  ", "bold"),
        f"{plain(language, 12) or 'text':<12} ",
        f"{count:>4} line{' ' if count == 1 else 's'}  ",
        plain(first, 40),
    )
