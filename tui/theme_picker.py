"""The theme picker: every theme is shown the moment it is highlighted; escape brings the old one back."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.dialogue import Dialogue


class ThemePicker(Dialogue[str | None]):
    """Closes with the name of the theme to keep, or None with the theme as it was."""

    DEFAULT_CSS = """
    ThemePicker { background: transparent; align: right top; }
    ThemePicker .dialogue { width: 38; margin: 2 2 0 0; padding: 1; }
    ThemePicker OptionList { height: auto; max-height: 18; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "leave", "Close", id="themes.close"),
        Binding("j", "move(1)", show=False, id="themes.next"),
        Binding("k", "move(-1)", show=False, id="themes.previous"),
    ]

    def __init__(self, before: str) -> None:
        super().__init__()
        self.before = before
        self._names: list[str] = []

    def compose(self) -> ComposeResult:
        """The themes: dark, light, then the terminal's own."""
        app = self.hearth
        themes = app.preferences.library.load_all()
        self._names = list(themes)
        with Vertical(classes="dialogue") as box:
            box.border_title = "Theme"
            box.border_subtitle = "enter keep · esc back"
            yield OptionList(
                *(
                    Option(
                        _line(
                            app.preferences.library.titles.get(name, name),
                            theme.dark,
                            theme.ansi,
                            name == self.before,
                        )
                    )
                    for name, theme in themes.items()
                ),
                markup=False,
            )

    def on_mount(self) -> None:
        """Start at the present theme."""
        if self.before in self._names:
            self.query_one(OptionList).highlighted = self._names.index(self.before)

    @on(OptionList.OptionHighlighted)
    def _preview(self, event: OptionList.OptionHighlighted) -> None:
        self.hearth.use_theme(self._names[event.option_index])

    @on(OptionList.OptionSelected)
    def _keep(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._names[event.option_index])

    def action_move(self, step: int) -> None:
        """Move the highlight."""
        themes = self.query_one(OptionList)
        if step > 0:
            themes.action_cursor_down()
        else:
            themes.action_cursor_up()

    def action_leave(self) -> None:
        """Bring the old theme back."""
        self.hearth.use_theme(self.before)
        self.dismiss(None)


def _line(title: str, dark: bool, ansi: bool, current: bool) -> Content:
    kind = "16 colours" if ansi else "dark" if dark else "light"
    return Content.assemble(("● " if current else "  ", "$primary"), f"{title:<20}", (kind, "$muted"))
