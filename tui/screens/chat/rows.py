"""Rows to set something: a number or a file to type, one of a few words, yes or no, what opens a dialogue."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, Static

from engine.text_safety import clean, plain
from tui.screens.chat.controls import Field

LABEL = 12
"""Cells of a label."""


class FieldRow(Vertical):
    """A label, an input, and below them what is wrong with the value, if anything is; else a note on it."""

    def __init__(self, field: Field) -> None:
        super().__init__(classes="field", id=f"row-{field.name}")
        self.field = field

    def compose(self) -> ComposeResult:
        """Label and input in a line."""
        with Horizontal():
            yield Label(self.field.label, markup=False)
            entry = Input(placeholder=self.field.default, id=f"set-{self.field.name}", select_on_focus=False)
            entry.tooltip = self.field.help
            yield entry
        yield Static("", classes="wrong", markup=False)
        yield Static("", classes="said", markup=False)

    @property
    def entry(self) -> Input:
        """Where it is typed."""
        return self.query_one(Input)

    def say(self, problem: str, note: str = "") -> None:
        """Show what is wrong, or else what is to be known; nothing hides both."""
        for kind, text in ((".wrong", problem), (".said", "" if problem else note)):
            line = self.query_one(kind, Static)
            line.update(clean(text))
            line.display = bool(text)
        self.set_class(bool(problem), "-wrong")


class Choice(Static, can_focus=True):
    """One of a few words, changed by space, enter, the arrow keys or a click."""

    BINDING_GROUP_TITLE = "Setting"
    BINDINGS = [  # noqa: RUF012
        Binding("space,enter,right", "turn(1)", "Change", id="inspector.choice_next"),
        Binding("left", "turn(-1)", "Change back", show=False, id="inspector.choice_previous"),
    ]

    class Changed(Message):
        """Another word was chosen."""

        def __init__(self, choice: Choice, value: str) -> None:
            super().__init__()
            self.choice, self.value = choice, value

        @property
        def control(self) -> Choice:
            """The row."""
            return self.choice

    def __init__(self, id: str, label: str, words: Sequence[tuple[str, str]], help: str) -> None:
        super().__init__("", id=id, classes="choice", markup=False)
        self._label, self.HELP = label, help
        self._words = tuple(words)
        self.value = ""

    def offer(self, words: Sequence[tuple[str, str]]) -> None:
        """Offer (value, word) pairs from now on; one that holds and is not among them stays until it is turned."""
        self._words = tuple(words)
        self.show(self.value)

    def show(self, value: str) -> None:
        """Show `value` without telling anybody."""
        self.value = value
        word = plain(dict(self._words).get(value, value), 20)
        left, right = ("‹ ", " ›") if len(self._words) > 1 else ("  ", "")
        self.update(
            Content.assemble(f"{self._label:<{LABEL}}", (left, "$muted"), (word, "bold"), (right, "$muted"))
        )

    def action_turn(self, by: int) -> None:
        """The next word."""
        values = [value for value, _ in self._words]
        if len(values) > 1:
            place = values.index(self.value) if self.value in values else -1 if by > 0 else 0
            self.show(values[(place + by) % len(values)])
            self.post_message(self.Changed(self, self.value))

    def on_click(self, event: events.Click) -> None:
        """The next word."""
        self.action_turn(1)


class Tick(Static, can_focus=True):
    """Something that holds or not, changed by space, enter or a click."""

    BINDING_GROUP_TITLE = "Setting"
    BINDINGS = [  # noqa: RUF012
        Binding("space,enter", "turn", "Change", id="tick.turn"),
    ]

    def __init__(self, label: str) -> None:
        super().__init__("", classes="choice", markup=False)
        self._label = label
        self.value = False

    def on_mount(self) -> None:
        """Show it."""
        self._show()

    def _show(self) -> None:
        self.update(Content.assemble(("■ " if self.value else "□ ", "$primary"), self._label))

    def action_turn(self) -> None:
        """The other way."""
        self.value = not self.value
        self._show()

    def on_click(self, event: events.Click) -> None:
        """The other way."""
        self.action_turn()


class Opener(Static, can_focus=True):
    """A label and what holds; enter, space or a click opens the dialogue that changes it."""

    BINDING_GROUP_TITLE = "Setting"
    BINDINGS = [  # noqa: RUF012
        Binding("enter,space", "open", "Change", id="inspector.open"),
    ]

    class Asked(Message):
        """The dialogue is to be opened."""

        def __init__(self, opener: Opener) -> None:
            super().__init__()
            self.opener = opener

        @property
        def control(self) -> Opener:
            """The row."""
            return self.opener

    def __init__(self, id: str, label: str, help: str) -> None:
        super().__init__("", id=id, classes="choice", markup=False)
        self._label, self.HELP = label, help
        self.value = ""

    def show(self, value: str, note: str = "") -> None:
        """Show what holds, and a note below it."""
        self.value = value
        line = Content.assemble(f"{self._label:<{LABEL}}", ("▸ ", "$muted"), (value, "bold"))
        below = [Content.styled(f"  {note}", "$muted")] if note else []
        self.update(Content("\n").join([line, *below]))

    def action_open(self) -> None:
        """Ask for it."""
        self.post_message(self.Asked(self))

    def on_click(self, event: events.Click) -> None:
        """Ask for it."""
        self.action_open()
