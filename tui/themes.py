"""Theme files: one TOML a theme, ours in the folder `themes`, the user's in `~/.config/hearth/themes`.

    title = "Hearth Dark"
    dark = true
    [colors]
    background = "#171412"        # required: background, surface, panel, foreground, primary, secondary,
    …                             #   accent, success, warning, error
    [variables]
    role-user = "#8fb8c9"         # any variable of Textual or of `OWN_VARIABLES`; all may be left out

The file's name is the theme's. A user's file hides ours of the same name. A file that cannot be used is left out
and its problem kept, so that one notice can name them all.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct
from textual.color import Color, ColorParseError
from textual.theme import Theme

from engine.text_safety import plain

BUILTIN = Path(__file__).resolve().parent.parent / "themes"
DEFAULT = "hearth-dark"
LARGEST_FILE = 64 * 1024

OWN_VARIABLES: Mapping[str, str] = {
    "role-user": "secondary",
    "role-assistant": "primary",
    "role-system": "warning",
    "role-tool": "success",
    "role-reasoning": "secondary",
    "ctx-ok": "success",
    "ctx-warn": "warning",
    "ctx-error": "error",
    "gauge": "primary",
    "gauge-track": "panel",
    "chrome": "surface",
    "line": "panel",
    "muted": "foreground",
    "state-ready": "success",
    "state-busy": "primary",
    "state-off": "foreground",
}
"""Hearth's variables for style sheets, and the colour each takes when a theme does not set it."""

ANSI_VARIABLES: Mapping[str, str] = {"ansi-background": "ansi_black", "ansi-foreground": "ansi_white"}
"""Variables that Textual's style sheets use under an ANSI theme and that it does not derive."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


class Colors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The palette; every value is a colour as in style sheets."""

    background: str
    surface: str
    panel: str
    foreground: str
    primary: str
    secondary: str
    accent: str
    success: str
    warning: str
    error: str


class ThemeFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a theme file holds. `ansi` uses the terminal's own sixteen colours."""

    title: str
    dark: bool = True
    ansi: bool = False
    description: str = ""
    colors: Colors
    variables: dict[str, str] = {}

    def to_theme(self, name: str) -> Theme:
        """The theme for Textual. Raises ValueError on a colour or variable that is none."""
        palette = msgspec.structs.asdict(self.colors)
        for key, value in palette.items():
            _check_colour(key, value)
        for key, value in self.variables.items():
            if not _NAME.fullmatch(key):
                raise ValueError(f"`{plain(key)}` is no name of a variable")
            if not key.endswith("-style"):
                _check_colour(key, value)
        own = {variable: palette[colour] for variable, colour in OWN_VARIABLES.items()}
        if self.ansi:
            own |= ANSI_VARIABLES
        return Theme(
            name=name,
            dark=self.dark,
            ansi=self.ansi,
            boost="ansi_default" if self.ansi else None,
            variables={**own, **self.variables},
            **palette,
        )


@dataclass(slots=True)
class ThemeLibrary:
    """The themes in some folders, later folders hiding earlier ones."""

    folders: tuple[Path, ...] = (BUILTIN,)
    problems: dict[Path, str] = field(default_factory=dict)
    """Why a file was left out, at the last reading."""
    titles: dict[str, str] = field(default_factory=dict)
    """What people read, by name."""
    _stamps: dict[str, tuple[Path, int]] = field(default_factory=dict)

    def load(self, name: str) -> Theme | None:
        """The theme of that name, or None when there is no usable file for it."""
        for folder in reversed(self.folders):
            theme = self._read(folder / f"{name}.toml") if _NAME.fullmatch(name) else None
            if theme is not None:
                return theme
        return None

    def load_all(self) -> dict[str, Theme]:
        """Every usable theme by name, dark before light, ours before the user's."""
        self.problems.clear()
        found: dict[str, Theme] = {}
        for folder in self.folders:
            for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
                theme = self._read(path)
                if theme is not None:
                    found[theme.name] = theme
        return dict(sorted(found.items(), key=lambda item: (item[1].ansi, not item[1].dark)))

    def changed(self) -> bool:
        """Whether a file of a loaded theme was written since it was read, or the folders hold others now."""
        present: dict[str, tuple[Path, int]] = {}
        for folder in self.folders:
            for path in folder.glob("*.toml") if folder.is_dir() else ():
                present[path.stem] = (path, _stamp(path))
        return present != self._stamps and bool(self._stamps)

    def remember(self) -> None:
        """Take what the folders hold now as known, for `changed`."""
        self._stamps = {
            path.stem: (path, _stamp(path))
            for folder in self.folders
            if folder.is_dir()
            for path in folder.glob("*.toml")
        }

    def _read(self, path: Path) -> Theme | None:
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise ValueError(f"is larger than {LARGEST_FILE // 1024} KiB")
            if not _NAME.fullmatch(path.stem):
                raise ValueError("is named with more than small letters, digits, - and _")
            file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ThemeFile)
            theme = file.to_theme(path.stem)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # TOML, Unicode and msgspec errors are ValueErrors
            self.problems[path] = plain(str(error), 200)
            return None
        self.titles[theme.name] = plain(file.title, 40)
        return theme


def fallback_variables() -> dict[str, str]:
    """Hearth's variables for a theme that is not ours."""
    known = {"surface": "#1e1e1e", "panel": "#2a2a2a", "foreground": "#e0e0e0", "primary": "#e8894a"}
    known |= {"secondary": "#8fb8c9", "success": "#9dbb7d", "warning": "#ecc46a", "error": "#e5695b"}
    return {variable: known[colour] for variable, colour in OWN_VARIABLES.items()}


def _check_colour(key: str, value: str) -> None:
    if value in ("transparent", "initial") or value.startswith("auto"):
        return
    try:
        Color.parse(value.partition(" ")[0])
    except ColorParseError:
        raise ValueError(f"`{plain(key)}` is no colour: {plain(value)!r}") from None


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
