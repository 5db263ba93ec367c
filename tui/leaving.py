"""Leaving Hearth where something is not saved: save it, leave it, or stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from engine.text_safety import plain
from tui.dialogue import Dialogue

if TYPE_CHECKING:
    from tui.app import HearthApp

Way = Literal["save", "leave"]


class Unsaved(Dialogue[Way | None]):
    """Closes with what to do, None to stay."""

    DEFAULT_CSS = """
    Unsaved .dialogue { width: 70; }
    Unsaved Static { height: auto; }
    Unsaved .names { color: $warning; margin-top: 1; }
    Unsaved .keys { color: $muted; margin-top: 1; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("s", "dismiss('save')", "Save and leave", id="leaving.save"),
        Binding("l", "dismiss('leave')", "Leave", id="leaving.leave"),
        Binding("escape,enter", "dismiss", "Stay", id="leaving.stay"),
    ]

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._names = names

    def compose(self) -> ComposeResult:
        """What is not saved, and the ways."""
        with Vertical(classes="dialogue"):
            yield Static(Content.styled("Leave Hearth? This is not saved:", "bold"))
            yield Static(
                Content("\n".join(f"✱ {plain(name, 54)}" for name in self._names[:8])), classes="names"
            )
            yield Static(
                Content("s save and leave   l leave without saving   esc stay (enter)"), classes="keys"
            )


def leave(app: HearthApp) -> None:
    """End the app, once nothing would be lost by it or somebody wants that."""
    screen = app.screen
    if isinstance(screen, Dialogue) and screen.keeps_text:
        app.flash("Esc first: what is written here is kept by closing it.", "warning")
        return
    if isinstance(screen, Unsaved):
        return  # it asks already
    screens = [each for each in app.opened if each.unsaved]
    names = [name for each in screens for name in each.unsaved]
    if not names:
        app.exit()
        return

    async def save() -> None:
        for each in screens:
            if not await each.save_all():
                return
        app.exit()

    def take(way: Way | None) -> None:
        if way == "leave":
            for each in screens:
                each.forget_unsaved()
            app.exit()
        elif way == "save":
            app.run_worker(save(), group="leaving")

    app.push_screen(Unsaved(names), take)
