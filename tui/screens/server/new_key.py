"""Two dialogues: what a new key is to be, and the key itself, which is shown this once."""

from __future__ import annotations

from msgspec import Struct
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import HearthError, InvalidRequest
from engine.settings import parse_duration
from engine.text_safety import plain
from tui.dialogue import Dialogue

RIGHTS = (
    ("generate", "ask models, and list them"),
    ("generate,manage", "and load, unload, pull and delete them"),
    ("admin", "everything, for hearth --connect too"),
)


class Wish(Struct, frozen=True):
    """What a key is to be; `lifetime` in seconds, None for ever."""

    name: str
    scopes: tuple[str, ...]
    lifetime: float | None = None


class NewKey(Dialogue[Wish | None]):
    """Closes with a wish, or None."""

    HELP = "Name the key, choose what it may do, say how long it holds; enter goes on, escape leaves all as it was."
    DEFAULT_CSS = """
    NewKey Static { color: $muted; margin-top: 1; height: auto; }
    NewKey OptionList { height: auto; margin-top: 1; }
    NewKey #lifetime { margin-top: 1; }
    NewKey #wrong { color: $text-error; }
    """
    BINDINGS = [Binding("escape", "dismiss", "Cancel", id="new_key.cancel")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        """Name, rights, lifetime."""
        with Vertical(classes="dialogue") as box:
            box.border_title = "New key"
            box.border_subtitle = "enter make it · tab next · esc cancel"
            yield Input(placeholder="What it is for, such as laptop", id="name")
            yield OptionList(
                *(
                    Option(Content.assemble(f"{scopes:<17}", (f"  {words}", "$muted")), id=scopes)
                    for scopes, words in RIGHTS
                ),
                id="rights",
            )
            yield Input(placeholder="For how long, such as 30d; empty: for ever", id="lifetime")
            yield Static("", id="wrong", markup=False)

    def on_mount(self) -> None:
        """The fewest rights are the default."""
        self.query_one(OptionList).highlighted = 0
        self.query_one("#wrong").display = False

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def _made(self) -> None:
        try:
            self.dismiss(self._wish())
        except HearthError as error:
            wrong = self.query_one("#wrong", Static)
            wrong.update(error.info.sentence())
            wrong.display = True

    def _wish(self) -> Wish:
        name = plain(self.query_one("#name", Input).value, 60).strip()
        if not name:
            self.query_one("#name", Input).focus()
            raise InvalidRequest("The key needs a name.")
        text = self.query_one("#lifetime", Input).value.strip()
        lifetime = None
        if text:
            try:
                lifetime = parse_duration(text)
            except ValueError as error:
                raise InvalidRequest(f"{plain(text, 30)!r} is no time.", f"{error}") from None
            if lifetime <= 0:
                raise InvalidRequest("That is over already.", fix="Write a time such as 30d.")
        scopes = RIGHTS[self.query_one(OptionList).highlighted or 0][0]
        return Wish(name, tuple(scopes.split(",")), lifetime)


class MadeKey(Dialogue[bool]):
    """Shows a key; True when it is to be copied."""

    HELP = "Only the hash of a key is kept: what is not copied now is lost."
    DEFAULT_CSS = """
    MadeKey #secret { background: $panel; padding: 0 1; margin-top: 1; height: auto; }
    MadeKey .note { color: $muted; margin-top: 1; height: auto; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("y,enter", "answer(True)", "Copy", id="made_key.copy"),
        Binding("escape", "answer(False)", "Close", id="made_key.close"),
    ]

    def __init__(self, name: str, secret: str) -> None:
        super().__init__()
        self._name_text, self._secret = name, secret

    def compose(self) -> ComposeResult:
        """The key, and what to know of it."""
        with Vertical(classes="dialogue") as box:
            box.border_title = f"Key for {plain(self._name_text, 40)}"
            box.border_subtitle = "y copy and close · esc close"
            yield Static("This is the only time that it is shown.", markup=False)
            yield Static(self._secret, id="secret", markup=False)
            yield Static(
                "Send it as Authorization: Bearer KEY, or as x-api-key: KEY.", classes="note", markup=False
            )

    def action_answer(self, copy: bool) -> None:
        """Close."""
        self.dismiss(copy)
