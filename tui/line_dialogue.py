"""Asks for one line of text: a name, a folder, a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from engine.text_safety import clean, plain
from tui.dialogue import Dialogue


class LineDialogue(Dialogue[str | None]):
    """Closes with what was written, blank where that means something; None for escape.

    What `known` gives is completed while typing (the right arrow takes what is offered) and listed below, as soon as
    it is there. `check` says what keeps a text from being taken, at each key; nothing for one that may be.
    """

    HELP = "Write, then press enter. Escape leaves all as it was."
    DEFAULT_CSS = """
    LineDialogue .note { color: $muted; margin-top: 1; height: auto; max-height: 6; }
    LineDialogue .problem { color: $text-error; margin-top: 1; height: auto; display: none; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss", "Cancel", id="line.cancel"),
    ]

    def __init__(
        self,
        title: str,
        text: str = "",
        *,
        note: str = "",
        known: Callable[[], Awaitable[Sequence[str]]] | None = None,
        check: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__()
        self._title, self._text, self._note, self._known = title, text, note, known
        self._check = check

    def compose(self) -> ComposeResult:
        """The line, and what is to be known."""
        with Vertical(classes="dialogue") as box:
            box.border_title = plain(self._title, 60)
            box.border_subtitle = "enter keep · esc cancel"
            yield Input(self._text, select_on_focus=False)
            yield Static("", classes="problem", markup=False)
            note = Static(clean(self._note), classes="note", markup=False)
            note.display = bool(self._note)
            yield note

    def on_mount(self) -> None:
        """Look for what is known already."""
        if self._known is not None:
            self.run_worker(self._look(self._known), group="known")

    async def _look(self, known: Callable[[], Awaitable[Sequence[str]]]) -> None:
        names = list(await known())
        if names:
            self.query_one(Input).suggester = SuggestFromList(names, case_sensitive=False)
            listed = f"There are: {', '.join(plain(each, 40) for each in names)}"
            note = self.query_one(".note", Static)
            note.update(clean("\n".join(part for part in (self._note, listed) if part)))
            note.display = True

    def _problem(self, text: str) -> bool:
        """Whether something keeps `text` from being taken; it is shown."""
        problem = self._check(clean(text).strip()) if self._check is not None else ""
        line = self.query_one(".problem", Static)
        line.display = bool(problem)
        line.update(clean(f"✗ {problem}"))
        return bool(problem)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._problem(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if self._problem(event.value):
            return
        self.dismiss(clean(event.value).strip())
