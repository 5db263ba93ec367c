"""The settings as rows and as a card of words, from what was loaded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from engine.settings import Layer, Loaded, Setting, Settings, definitions, layer_of, sections, shown, value_of

LAYERS: dict[Layer, str] = {
    "default": "",
    "file": "file",
    "project file": "project",
    "environment": "env",
    "command line": "flag",
}
"""What a list shows of where a value comes from."""
HOLDS = {
    "now": "at once",
    "answer": "from the next answer on",
    "load": "for models loaded from now on",
    "start": "when Hearth starts next",
}


class Row(Struct, frozen=True, kw_only=True):
    """One setting: `value` is what the files and the rest say, `running` what this workstation goes by."""

    setting: Setting
    value: Any
    running: Any
    source: str
    layer: Layer

    @property
    def key(self) -> str:
        return self.setting.key

    @property
    def is_waiting(self) -> bool:
        """Whether it holds only after the next start."""
        return bool(self.value != self.running)

    @property
    def is_locked(self) -> bool:
        """Whether something stronger than the user's file says it, so that a change there would do nothing."""
        return self.layer not in ("default", "file")


class Heading(Struct, frozen=True):
    """Where a section begins."""

    section: str
    purpose: str


Line = Row | Heading


def rows(loaded: Loaded, running: Settings) -> list[Row]:
    """Every setting, in the order of the schema."""
    return [
        Row(
            setting=setting,
            value=value_of(loaded.settings, key),
            running=value_of(running, key),
            source=loaded.sources[key],
            layer=layer_of(loaded, key),
        )
        for key, setting in definitions().items()
    ]


def found(every: Iterable[Row], words: str = "", *, only_changed: bool = False) -> list[Row]:
    """The rows that hold every word in key, description or value."""
    wanted = words.lower().split()
    return [row for row in every if _matches(row, wanted) and (not only_changed or row.layer != "default")]


def lines(chosen: Iterable[Row]) -> Iterator[Line]:
    """The rows with a heading before each section."""
    section = None
    for row in chosen:
        if row.setting.section != section:
            section = row.setting.section
            yield Heading(section, sections()[section])
        yield row


def _matches(row: Row, wanted: list[str]) -> bool:
    text = f"{row.key} {row.setting.description} {shown(row.setting, row.value)} {LAYERS[row.layer]}".lower()
    return all(word in text for word in wanted)


def value(row: Row) -> str:
    """What it is set to, on one line."""
    return " ".join(shown(row.setting, row.value).split())


def card(row: Row) -> list[tuple[str, str]]:
    """Label and text of what is to be known of a setting beside its name and description."""
    setting = row.setting
    told = [("value", value(row))]
    if row.is_waiting:
        told.append(("running", " ".join(shown(setting, row.running).split())))
    if row.value != setting.default:
        told.append(("default", shown(setting, setting.default)))
    told.append(("from", row.source if row.layer != "default" else "the default"))
    told.append(("takes", setting.expects))
    told.append(("holds", HOLDS[setting.applies]))
    if setting.own:
        told.append(("guards", "this machine: a project's hearth.toml may not set it"))
    return told


def overruled(row: Row, theme: str, model: str) -> str:
    """What was chosen elsewhere on the screen and holds in place of the setting; empty if nothing was."""
    if row.key == "ui.theme" and theme != row.value:
        return f"{theme} was chosen in the theme picker and is shown instead; changing it here ends that."
    if row.key == "models.default" and model != row.value:
        return f"The chat goes on with {model}, which was chosen last."
    return ""


def why_locked(row: Row, file: Path) -> str:
    """Why a change would do nothing, and where to make it instead."""
    match row.layer:
        case "environment":
            return f"{row.source.removeprefix('environment ')} in the environment sets it; unset that first."
        case "command line":
            return "The command line sets it; start Hearth without that flag."
        case _:
            return f"{row.source} sets it and is stronger than {file}; change it there."
