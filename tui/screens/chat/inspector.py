"""The inspector: system prompt, sampling and limits of the conversation on screen, checked while they are typed."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, Static, TextArea

from engine.errors import HearthError
from engine.text_safety import clean
from tui.screens.chat.controls import INSPECTED, Field, text_of, with_value
from tui.screens.chat.conversation import Controls

CHOICES = ("", "on", "off")


class Choice(Static, can_focus=True):
    """One of a few words, changed by space, enter, the arrow keys or a click."""

    HELP = "Whether the model thinks before it answers; auto leaves it to the model."
    BINDINGS = [  # noqa: RUF012
        Binding("space,enter,right", "turn(1)", "Change", id="inspector.choice_next"),
        Binding("left", "turn(-1)", "Change back", show=False, id="inspector.choice_previous"),
    ]

    class Changed(Message):
        """Another word was chosen."""

        def __init__(self, value: str) -> None:
            super().__init__()
            self.value = value

    def __init__(self, *, id: str) -> None:
        super().__init__("", id=id, markup=False)
        self.value = ""

    def show(self, value: str) -> None:
        """Show `value` without telling anybody."""
        self.value = value
        self.update(
            Content("  ").join(
                Content.styled(
                    f"{'●' if word == value else '○'} {word or 'auto'}", "bold" if word == value else "$muted"
                )
                for word in CHOICES
            )
        )

    def action_turn(self, by: int) -> None:
        """The next word."""
        self.show(CHOICES[(CHOICES.index(self.value) + by) % len(CHOICES)])
        self.post_message(self.Changed(self.value))

    def on_click(self, event: events.Click) -> None:
        """The next word."""
        self.action_turn(1)


class FieldRow(Vertical):
    """A label, an input, and below them what is wrong with the value, if anything is."""

    def __init__(self, field: Field) -> None:
        super().__init__(classes="field")
        self.field = field

    def compose(self) -> ComposeResult:
        """Label and input in a line."""
        with Horizontal():
            yield Label(self.field.label, markup=False)
            entry = Input(placeholder=self.field.default, id=f"set-{self.field.name}", select_on_focus=False)
            entry.tooltip = self.field.help
            yield entry
        yield Static("", classes="wrong", markup=False)

    def say(self, problem: str) -> None:
        """Show what is wrong; nothing hides it."""
        wrong = self.query_one(".wrong", Static)
        wrong.update(clean(problem))
        wrong.display = bool(problem)
        self.set_class(bool(problem), "-wrong")


class Inspector(VerticalScroll, can_focus=False):
    """Edits `Controls`; posts `Changed` with the new ones whenever every field can be used."""

    class Changed(Message):
        """The conversation shall go on with these."""

        def __init__(self, controls: Controls) -> None:
            super().__init__()
            self.controls = controls

    def __init__(self) -> None:
        super().__init__(id="inspector")
        self._controls = Controls()

    def compose(self) -> ComposeResult:
        """System prompt, fields, the thinking switch."""
        self.border_title = "Inspector"
        yield Label("system prompt", classes="heading")
        yield TextArea(
            id="system",
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder="As the model or the settings say",
        )
        yield Label("sampling", classes="heading")
        for field in INSPECTED:
            yield FieldRow(field)
        yield Label("thinking", classes="heading")
        yield Choice(id="thinking")
        yield Static(
            "A blank field takes the model's own value.\nChanges hold for the next answer.", classes="note"
        )

    def show(self, controls: Controls) -> None:
        """Show a conversation's controls."""
        self._controls = controls
        system = self.query_one("#system", TextArea)
        if system.text != (controls.system or ""):
            system.load_text(controls.system or "")
        for row in self.query(FieldRow):
            entry = row.query_one(Input)
            text = text_of(controls, row.field.name)
            if entry.value.strip() != text:
                entry.value = text
            row.say("")
        self.query_one(Choice).show(text_of(controls, "thinking"))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        row = next((row for row in self.query(FieldRow) if event.input in row.query(Input)), None)
        if row is None:
            return
        try:
            controls = with_value(self._controls, row.field.name, event.value)
        except HearthError as error:
            row.say(error.why or error.what)
        else:
            row.say("")
            self._take(controls)

    @on(TextArea.Changed, "#system")
    def _system_typed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._take(with_value(self._controls, "system", event.text_area.text))

    @on(Choice.Changed)
    def _thinking_chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self._take(with_value(self._controls, "thinking", event.value))

    def _take(self, controls: Controls) -> None:
        if controls != self._controls:
            self._controls = controls
            self.post_message(self.Changed(controls))
