"""The dialogues that change one setting: a list to choose from, a line to type, a box for text of several lines.

What is typed is checked at each key by the engine's own rules, and its own words say what is wrong. They close with
the text to be written, `UNSET` to go back to the default, or None.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from engine.errors import InvalidSettings
from engine.settings import parsed, shown, typed
from engine.text_safety import clean, plain
from tui.dialogue import Dialogue
from tui.screens.settings.presenter import HOLDS, Row

UNSET = "\0unset"
"""What a dialogue closes with to take the setting out of the file."""


class SettingDialogue(Dialogue[str | None]):
    """What every one of them shows: the setting's name, what it is, what it takes, when a change holds."""

    DEFAULT_CSS = """
    SettingDialogue .dialogue { width: 70; }
    SettingDialogue Static { height: auto; }
    SettingDialogue .facts { color: $muted; margin-top: 1; }
    SettingDialogue .problem { margin-top: 1; color: $text-error; }
    SettingDialogue Input { margin-top: 1; }
    SettingDialogue OptionList { height: auto; max-height: 12; margin-top: 1; }
    SettingDialogue TextArea { height: 8; margin-top: 1; border: none; background: $panel; padding: 0 1; }
    SettingDialogue TextArea:focus { border: none; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss", "Close", id="setting.close"),
        Binding("ctrl+r", "reset", "Default", priority=True, id="setting.reset"),
    ]
    KEYS = "enter save · ctrl+r default · esc close"

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row

    def compose(self) -> ComposeResult:
        """What it is, then what the kind of dialogue has, then the facts."""
        setting = self.row.setting
        with Vertical(classes="dialogue") as box:
            box.border_title = setting.key
            box.border_subtitle = self.KEYS
            yield Static(Content(clean(setting.description)))
            yield from self.compose_field()
            yield Static("", classes="problem", markup=False)
            default = shown(setting, setting.default)
            facts = f"Takes {setting.expects}. Default: {default}. A change holds {HOLDS[setting.applies]}."
            yield Static(Content(clean(facts)), classes="facts")

    if TYPE_CHECKING:

        def compose_field(self) -> ComposeResult:
            """What the value is given with."""
            ...

    def on_mount(self) -> None:
        """Nothing is wrong yet."""
        self.query_one(".problem").display = False

    def action_reset(self) -> None:
        """Close with the wish for the default."""
        self.dismiss(UNSET)

    def tell(self, problem: InvalidSettings | None) -> None:
        """Show what is wrong with what stands there, or that nothing is."""
        line = self.query_one(".problem", Static)
        line.display = problem is not None
        if problem is not None:
            why = problem.why.partition(": ")[2] or problem.why
            line.update(Content(f"✗ {clean(problem.what)} {clean(why)}"))

    def check(self, text: str) -> bool:
        """Whether `text` may be the value; says so. An empty one stands for the default."""
        try:
            if text.strip():
                parsed(self.row.key, text, Path.cwd())
        except InvalidSettings as problem:
            self.tell(problem)
            return False
        self.tell(None)
        return True

    def save(self, text: str) -> None:
        """Close with `text` if it may be the value."""
        if self.check(text):
            self.dismiss(text if text.strip() else UNSET)


class TypeValue(SettingDialogue):
    """A line to type: numbers, durations, sizes, paths, lists, words."""

    def compose_field(self) -> ComposeResult:
        """The line, filled with what holds."""
        setting = self.row.setting
        text = "" if setting.secret else typed(setting, self.row.value)
        yield Input(
            text,
            placeholder="not set" if setting.default is None else shown(setting, setting.default),
            password=setting.secret,
            select_on_focus=not setting.is_list,
        )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.check(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.save(event.value)


class WriteText(SettingDialogue):
    """A box for text of several lines."""

    BINDINGS = [Binding("ctrl+s", "save_text", "Save", priority=True, id="setting.save")]  # noqa: RUF012
    KEYS = "ctrl+s save · ctrl+r default · esc close"

    def compose_field(self) -> ComposeResult:
        """The box, filled with what holds."""
        yield TextArea(typed(self.row.setting, self.row.value), compact=True)

    def action_save_text(self) -> None:
        """Close with what stands there."""
        self.save(self.query_one(TextArea).text)


class ChooseValue(SettingDialogue):
    """The few values that there are, the present one highlighted; also on and off."""

    def __init__(self, row: Row, choices: tuple[str, ...] = ()) -> None:
        super().__init__(row)
        setting = row.setting
        words = choices or setting.choices or ("true", "false")
        self._choices: tuple[str, ...] = (*((UNSET,) if setting.default is None else ()), *words)

    def compose_field(self) -> ComposeResult:
        """The list."""
        setting = self.row.setting
        options = []
        for choice in self._choices:
            word = {"true": "on", "false": "off", UNSET: "not set"}.get(choice, choice)
            is_default = choice == (UNSET if setting.default is None else _word(setting.default))
            mark = ("● ", "$primary") if choice == self._present else "  "
            note = ("  default", "$muted") if is_default else ""
            options.append(Option(Content.assemble(mark, plain(word, 60), note)))
        yield OptionList(*options, markup=False)

    def on_mount(self) -> None:
        """Start at the present value."""
        if self._present in self._choices:
            self.query_one(OptionList).highlighted = self._choices.index(self._present)
        self.query_one(OptionList).focus()

    @property
    def _present(self) -> str:
        return UNSET if self.row.value is None else _word(self.row.value)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index])


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def dialogue_for(row: Row) -> SettingDialogue:
    """The dialogue that suits the setting's type."""
    setting = row.setting
    if setting.choices or setting.is_switch:
        return ChooseValue(row)
    return WriteText(row) if setting.lines else TypeValue(row)
