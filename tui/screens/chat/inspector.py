"""The inspector: how the answers of the conversation on screen are made, checked while it is typed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Input, Label, Static, TextArea

from engine.errors import HearthError
from engine.text_safety import plain
from engine.types import ModelEntry
from tui.asking import adapters
from tui.screens.chat.controls import (
    BUDGET,
    FROM_FILES,
    INSPECTED,
    Field,
    taken_over,
    text_of,
    with_value,
)
from tui.screens.chat.conversation import Controls
from tui.screens.chat.rows import Choice, FieldRow, Opener

SETTLED_S = 0.3
"""A file is looked for when its name has not changed for so long."""
Thinks = Literal["", "always", "switch", "levels"]

THINK = (("", "auto"), ("on", "on"), ("off", "off"))
LEVELS = (("", "auto"), *((level, level) for level in ("none", "low", "medium", "high")))
KINDS = (
    ("", "auto"),
    ("json", "JSON"),
    ("schema", "schema"),
    ("regex", "regex"),
    ("choice", "choice"),
    ("grammar", "grammar"),
    ("text", "any text"),
)
CALLS = (("auto", "auto"), ("none", "none"), ("required", "required"))
SHAPES: dict[str, Field] = {
    "schema": Field("shape", "  from", "A JSON Schema: a file, or the schema itself.", "schema.json"),
    "regex": Field("shape", "  pattern", "A regular expression that the whole answer matches.", "[0-9]{4}"),
    "choice": Field("shape", "  of", "The answers to choose from, with | between them.", "yes | no"),
    "grammar": Field("shape", "  from", "A file with a grammar in GBNF.", "grammar.gbnf"),
}
"""What the row below the kind of output asks for."""
TOOLS = Field("tools", "tools", "A JSON file of functions; Hearth runs none of them.", "file of functions")


class Inspector(VerticalScroll, can_focus=False):
    """Edits `Controls`; posts `Changed` with the new ones whenever a field can be used."""

    class Changed(Message):
        """The conversation shall go on with these."""

        def __init__(self, controls: Controls) -> None:
            super().__init__()
            self.controls = controls

    class Opened(Message):
        """It came into sight."""

    def __init__(self) -> None:
        super().__init__(id="inspector")
        self._controls = Controls()
        self._entry: ModelEntry | None = None
        self._thinks: Thinks = ""

    def compose(self) -> ComposeResult:
        """System prompt, the form of an answer, sampling."""
        self.border_title = "Inspector"
        yield Label("system prompt", classes="heading")
        yield TextArea(
            id="system",
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder="As the model or the settings say",
        )
        yield Label("answer", classes="heading")
        yield Opener("adapter", "adapter", "The LoRA adapters of this conversation.")
        yield Choice("thinking", "thinking", THINK, "Whether the model thinks first; auto leaves it to it.")
        yield Choice("effort", "  level", LEVELS, "How much it thinks; auto leaves it to the model.")
        yield FieldRow(BUDGET)
        yield Choice(
            "output", "output", KINDS, "What the answer must look like; auto leaves it to the alias."
        )
        yield FieldRow(SHAPES["schema"])
        yield FieldRow(TOOLS)
        yield Choice("calls", "  calls", CALLS, "Whether it may call a tool, must, or must not.")
        yield Label("sampling", classes="heading")
        for field in INSPECTED:
            yield FieldRow(field)
        yield Static(
            "A blank field takes the model's own value.\nChanges hold for the next answer.", classes="note"
        )

    def on_show(self) -> None:
        """Tell that it is looked at: what is offered depends on the model."""
        self.post_message(self.Opened())

    def show(self, controls: Controls) -> None:
        """Show a conversation's controls."""
        for name in FROM_FILES:
            self.workers.cancel_group(self, name)  # what is still looked up belongs to another one
        self._controls = controls
        system = self.query_one("#system", TextArea)
        if system.text != (controls.system or ""):
            system.load_text(controls.system or "")
        kind = controls.constraint.kind if controls.constraint is not None else ""
        self.query_one("#output", Choice).show(kind)
        self._ask_for_shape(kind)
        for row in self.query(FieldRow):
            name = row.field.name
            if name == "shape":
                name = kind if kind in SHAPES else ""
            text = text_of(controls, name) if name else ""
            if row.entry.value.strip() != text:
                row.entry.value = text
            row.say("", self._note(row.field))
        self.query_one("#thinking", Choice).show(text_of(controls, "think"))
        self.query_one("#effort", Choice).show(text_of(controls, "effort"))
        self.query_one("#calls", Choice).show(text_of(controls, "tool_choice") or "auto")
        self._show_model()

    def tell(self, entry: ModelEntry | None, thinks: Thinks) -> None:
        """What is known of the model that answers: its adapters, how it thinks (empty: unknown)."""
        if (entry, thinks) != (self._entry, self._thinks):
            self._entry, self._thinks = entry, thinks
            self._show_model()

    def _show_model(self) -> None:
        entry, chosen = self._entry, self._controls.adapters
        said = adapters.OWN if chosen is None else adapters.shown(chosen) or adapters.BASE
        count = len(entry.adapters) if entry else 0
        parts = [f"of {count}"] if count else []
        if entry is not None and entry.broken_adapters:
            parts.append(f"✗ {len(entry.broken_adapters)} broken")
        self.query_one("#adapter", Opener).show(said, " · ".join(parts))
        thinking = self.query_one("#thinking", Choice)
        thinking.offer((("", "always"),) if self._thinks == "always" else THINK)
        level = self.query_one("#effort", Choice)
        level.display = self._thinks in ("", "levels") or bool(level.value)
        self.query_one("#calls", Choice).display = bool(self._controls.tools)

    def _note(self, field: Field) -> str:
        if field.name != "tools" or not self._controls.tools:
            return ""
        names = ", ".join(plain(tool.name, 24) for tool in self._controls.tools)
        return f"{len(self._controls.tools)}: {plain(names, 80)}"

    # --- changes

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        row = next((row for row in self.query(FieldRow) if event.input is row.entry), None)
        if row is None:
            return
        name = self.query_one("#output", Choice).value if row.field.name == "shape" else row.field.name
        if not name:
            return
        if event.value.strip() == text_of(self._controls, name):
            row.say("", self._note(row.field))
        elif name in FROM_FILES:
            self.run_worker(partial(self._look_up, row, name, event.value), group=name, exclusive=True)
        else:
            self._try(row, name, event.value)

    def _try(self, row: FieldRow, name: str, text: str) -> None:
        try:
            controls = with_value(self._controls, name, text)
        except HearthError as error:
            row.say(error.why or error.what)
        else:
            row.say("")
            self._take(controls)

    async def _look_up(self, row: FieldRow, name: str, text: str) -> None:
        """Read what is named once it is typed; what was wrong with it before is still shown meanwhile."""
        await asyncio.sleep(SETTLED_S)
        try:
            made = await asyncio.to_thread(with_value, Controls(), name, text)
        except HearthError as error:
            row.say(" ".join(part for part in (error.what, error.why) if part))
        else:
            self._take(taken_over(self._controls, made, name))
            row.say("", self._note(row.field))
            self._show_model()

    @on(TextArea.Changed, "#system")
    def _system_typed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._take(with_value(self._controls, "system", event.text_area.text))

    @on(Choice.Changed, "#thinking")
    @on(Choice.Changed, "#effort")
    @on(Choice.Changed, "#calls")
    def _turned(self, event: Choice.Changed) -> None:
        event.stop()
        name = {"thinking": "think", "effort": "effort", "calls": "tool_choice"}[event.choice.id or ""]
        self._take(with_value(self._controls, name, event.value))

    @on(Choice.Changed, "#output")
    def _output_turned(self, event: Choice.Changed) -> None:
        """JSON holds at once; what needs a file or a pattern waits for that."""
        event.stop()
        self._ask_for_shape(event.value)
        row = self.query_one("#row-shape", FieldRow)
        row.entry.value = ""
        row.say("")
        held = self._controls.constraint
        name = "" if held is None else "json" if held.kind == "text" else held.kind
        controls = with_value(self._controls, name, "") if name else self._controls
        said = {"json": "on", "text": "off"}.get(event.value)
        self._take(with_value(controls, "json", said) if said else controls)

    def _ask_for_shape(self, kind: str) -> None:
        row = self.query_one("#row-shape", FieldRow)
        row.display = kind in SHAPES
        if kind in SHAPES:
            asked = SHAPES[kind]
            row.query_one(Label).update(asked.label)
            row.entry.placeholder, row.entry.tooltip = asked.default, asked.help

    def _take(self, controls: Controls) -> None:
        if controls != self._controls:
            self._controls = controls
            self.post_message(self.Changed(controls))
