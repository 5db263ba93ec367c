"""The settings as rows and as a card of words, from what was loaded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from engine.errors import InvalidSettings
from engine.settings import (
    Layer,
    Loaded,
    Setting,
    Settings,
    definitions,
    layer_of,
    name_in,
    parsed,
    sections,
    shown,
    value_of,
)

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
    """Every setting, in the order of the schema; names of models below the table that holds them."""
    return [row for setting in definitions().values() for row in _rows(setting, loaded, running)]


def _rows(setting: Setting, loaded: Loaded, running: Settings) -> Iterator[Row]:
    value, now = value_of(loaded.settings, setting.key), value_of(running, setting.key)
    yield _row(setting, value, now, loaded)
    if setting.others:
        for name, target in value.items():
            yield _row(name_in(setting, name), target, now.get(name), loaded)


def _row(setting: Setting, value: Any, running: Any, loaded: Loaded) -> Row:
    return Row(
        setting=setting,
        value=value,
        running=running,
        source=loaded.sources[setting.key],
        layer=layer_of(loaded, setting.key),
    )


def new_name(setting: Setting, name: str) -> Row:
    """A name that is not there yet."""
    return Row(setting=name_in(setting, name), value=None, running=None, source="default", layer="default")


def why_no_name(setting: Setting, name: str) -> str:
    """What keeps `name` from being a name in the table; empty if nothing does."""
    try:
        if name:
            parsed(f"{setting.section}.{name}", "/model.gguf", Path.cwd())
    except InvalidSettings as problem:
        return f"{problem.what} {problem.fix}"
    return ""


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
    if setting.others:
        told = [(label, text) for label, text in told if label != "takes"]
        told.append(("changes", "enter adds a name; each has a line of its own, where r takes it out"))
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
