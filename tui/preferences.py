"""What a person chose for the screen: theme, keys, the model for chat. Read at start, kept when chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import HearthError
from engine.paths import Paths
from engine.settings import Settings
from tui import state, themes

if TYPE_CHECKING:
    from tui.app import HearthApp


class Preferences:
    """The choices of one app. Files that cannot be used are told in one notice each, and never stop it."""

    def __init__(self, app: HearthApp, settings: Settings, paths: Paths) -> None:
        self._app, self._settings, self._paths = app, settings, paths
        self._state_path = paths.state / "ui.json"
        self._state = state.load(self._state_path)
        self._has_keymap = False
        self.library = themes.ThemeLibrary((themes.BUILTIN, paths.themes))

    @property
    def model(self) -> str:
        """The model last chosen, else the one of the settings."""
        return self._state.model or self._settings.models.default

    @property
    def conversation(self) -> str:
        """The conversation that was on screen last; empty if it was a new one."""
        return self._state.conversation

    @property
    def theme(self) -> str:
        """The theme last chosen, else the one of the settings."""
        return self._state.theme or self._settings.ui.theme

    def keep(self, **changes: str) -> None:
        """Remember theme, model or conversation for the next run; a disk that will not have it is told in passing."""
        for name, value in changes.items():
            setattr(self._state, name, value)
        try:
            state.save(self._state_path, self._state)
        except HearthError as error:
            self._app.flash(error.info.sentence(), "warning")
        except OSError as error:
            self._app.flash(f"The choice is not remembered: {error.strerror or error}.", "warning")

    def adopt(self, settings: Settings) -> None:
        """Go by `settings` from now on; a theme that they name anew takes the place of the one chosen last."""
        before, self._settings = self._settings, settings
        if settings.ui.theme != before.ui.theme:
            self.forget_theme()
        if settings.ui.keymap != before.ui.keymap:
            self.apply_keymap()

    def forget_theme(self) -> None:
        """Let the theme of the settings hold, whichever was chosen."""
        self.keep(theme="")
        self.use_theme(self.theme)

    def use_theme(self, name: str) -> None:
        """Switch to the theme of that name, or to the default when there is no usable one."""
        app = self._app
        theme = self.library.load(name) or app.available_themes.get(name) or self.library.load(themes.DEFAULT)
        assert theme is not None, "the default theme is part of Hearth"
        app.register_theme(theme)
        app.theme = theme.name

    def register_themes(self) -> None:
        """Make every theme known to the app, and tell which files could not be used."""
        for theme in self.library.load_all().values():
            self._app.register_theme(theme)
        self.library.remember()
        problems = [f"{path.name}: {problem}" for path, problem in self.library.problems.items()]
        if self.theme not in self._app.available_themes:
            problems.append(f"There is no usable theme {self.theme!r}; {self._app.theme} is used.")
        self._tell("Themes", problems)

    def reload_changed_themes(self) -> None:
        """Take over what was written into the theme files meanwhile."""
        if self.library.changed():
            self.register_themes()
            self.use_theme(self._app.theme)
            self._app.refresh_css(animate=False)

    def apply_keymap(self) -> None:
        """Give actions the keys of the keymap file."""
        named = self._settings.ui.keymap
        path = Path(named) if named else self._paths.keymap_file
        if not named and not path.exists():
            if self._has_keymap:
                self._app.set_keymap({})
            return
        from tui import keymap

        found = keymap.load(path, self._app.actions)
        if found.keys or self._has_keymap:
            self._app.set_keymap(found.keys)
            self._has_keymap = bool(found.keys)
        missing = () if path.exists() else (f"There is no keymap {path}.",)
        self._tell(f"Keymap {path.name}", [*found.problems, *missing])

    def _tell(self, title: str, problems: list[str]) -> None:
        if problems:
            text = "\n".join(problems)
            self._app.notify(text, title=title, severity="warning", timeout=12, markup=False)
