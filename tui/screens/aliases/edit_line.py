"""Below the form: the highlighted field, typed here and checked at each key, with what it is for."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from engine.text_safety import clean, plain
from tui.screens.aliases.fields import UNSAID, Field
from tui.screens.aliases.presenter import Row

OPENING = {
    "line": "enter types",
    "choice": "space turns",
    "text": "enter opens the text",
    "list": "enter opens the list",
    "messages": "enter opens the messages",
    "model": "enter chooses a model",
    "prompt": "enter chooses a prompt",
    "adapters": "enter chooses adapters",
}


class FieldInput(Input):
    """Where a field is typed. Enter keeps, escape takes back what was typed here."""

    BINDING_GROUP_TITLE = "Field"
    BINDINGS = [  # noqa: RUF012
        Binding("enter", "leave(True)", "Keep", show=True, id="aliases.input.keep"),
        Binding("up,down", "leave(True)", "Keep", show=False, id="aliases.input.keep_too"),
        Binding("escape", "leave(False)", "Take back", show=True, id="aliases.input.back"),
    ]

    class Left(Message):
        """Back to the form; without `keep` as it was before."""

        def __init__(self, keep: bool) -> None:
            super().__init__()
            self.keep = keep

    def action_leave(self, keep: bool) -> None:
        """Go back to the form."""
        self.post_message(self.Left(keep))


class EditLine(Vertical, can_focus=False):
    """Shows one row at a time."""

    class Typed(Message):
        """The text of a field changed."""

        def __init__(self, key: str, text: str) -> None:
            super().__init__()
            self.key, self.text = key, text

    class Clicked(Message):
        """The words of a field that is not typed were clicked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._field: Field | None = None
        self._given: str | None = None
        """What the draft said last; None before it was asked."""
        self._posted: list[str] = []
        """What was typed and the draft has not taken in yet."""

    def compose(self) -> ComposeResult:
        """A line to type, or what stands there; what is wrong, or what it is for."""
        yield FieldInput(id="typed", select_on_focus=False)
        yield Static("", id="words", markup=False)
        yield Static("", id="about", markup=False)

    @property
    def entry(self) -> FieldInput:
        """Where it is typed."""
        return self.query_one(FieldInput)

    @property
    def key(self) -> str:
        """The field that is shown."""
        return self._field.key if self._field is not None else ""

    def show(self, row: Row | None, text: str, about: str, theirs: str = "") -> None:
        """Show a field with what stands in it; None shows nothing."""
        self.set_class(row is None, "-nothing")
        if row is None:
            self._field = None
            return
        field = row.field
        if field.key != self.key:
            self._posted.clear()
            self._given = None
        self._field = field
        hint = OPENING[field.kind]
        self.border_title = Content.assemble(field.label, (f" · {hint}", "$muted"))
        typed = field.kind == "line"
        entry = self.entry
        entry.display = typed
        words = self.query_one("#words", Static)
        words.display = not typed
        if typed:
            self._show_text(" ".join(clean(text).splitlines()))
            entry.placeholder = "" if row.value in ("–", "…") or row.said else plain(row.value, 60)
        elif field.kind == "choice":
            words.update(_choice(field, text, row))
        else:
            words.update(Content.styled(plain(row.value, 300), "bold" if row.said else "$muted"))
        self._tell(row, about, theirs)

    def _show_text(self, text: str) -> None:
        """Show what the draft says, unless it only lags behind what is being typed."""
        if text in self._posted:
            del self._posted[: self._posted.index(text) + 1]
        elif text != self._given:
            self._posted.clear()
            self.entry.value = text
        self._given = text

    def _tell(self, row: Row, about: str, theirs: str) -> None:
        line = self.query_one("#about", Static)
        if row.wrong:
            line.update(Content.styled(f"✗ {clean(row.wrong)}", "$text-error"))
        elif theirs:
            line.update(Content.styled(f"! {clean(theirs)}", "$text-warning"))
        else:
            line.update(Content.styled(clean(about), "$muted"))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        typed = event.value != self._given or bool(self._posted)
        if self._field is not None and self._field.kind == "line" and typed:
            self._posted.append(event.value)
            self.post_message(self.Typed(self._field.key, event.value))

    def on_click(self, event: events.Click) -> None:
        """Ask for what enter does."""
        if self._field is not None and self._field.kind != "line":
            self.post_message(self.Clicked())


def _choice(field: Field, text: str, row: Row) -> Content:
    """The words that there are, the one that holds marked."""
    parts: list[Content] = []
    for value, word in field.choices:
        here = value == text
        shown = word
        if value == UNSAID and not row.said and row.value not in ("–", "…"):
            shown = f"{word}: {plain(row.value, 20)}"
        parts.append(
            Content.assemble(
                ("● " if here else "○ ", "$primary" if here else "$muted"),
                (shown, "bold" if here else "$muted"),
            )
        )
    return Content("  ").join(parts)
