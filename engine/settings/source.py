"""Where settings come from: a TOML file, variables of the environment, flags of the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from engine.errors import InvalidSettings
from engine.settings.catalogue import Setting

PREFIX = "HEARTH_"


class Source(Struct, frozen=True, kw_only=True):
    """Values of one layer by (dotted) key, still unchecked."""

    name: str
    values: Mapping[str, Any]
    folder: Path
    """Relative paths among the values start here."""
    lenient: bool = False
    """Whether text stands for the value that it spells, as in a variable or a flag."""
    foreign: bool = False
    """Whether it may be somebody else's: the `hearth.toml` of the current folder."""
    text: str = ""
    """A file's text, to find lines in."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What a key is called here, where that is not the key itself."""

    def label(self, key: str) -> str:
        """Where `key` was said, without its line: `/path/config.toml`, `environment HEARTH_SERVER__PORT`."""
        return f"{self.name} {self.names[key]}" if key in self.names else self.name

    def place(self, key: str) -> str:
        """`label` with the line, if the text has one for `key`."""
        line = line_of(self.text, key)
        return f"{self.label(key)}, line {line}" if line else self.label(key)

    def read(self, setting: Setting, value: Any) -> Any:
        """`value` as the setting means it: a variable's text may spell a list or a table."""
        if not (self.lenient and isinstance(value, str)):
            return value
        text = value.strip()
        if text[:1] in "[{" and text and not setting.is_text:
            return tomllib.loads(f"value = {text}")["value"]
        if setting.is_list:
            return [part.strip() for part in text.split(",") if part.strip()]
        return value


def toml_file(path: Path, *, foreign: bool = False) -> Source:
    """The file at `path`. Raises InvalidSettings if it cannot be read or is no TOML."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise InvalidSettings(
            f"The settings file {path} cannot be read.",
            f"{error.strerror or error}.",
            "Name another with --config, or mend its permissions.",
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidSettings(
            f"The settings file {path} is not UTF-8 text.",
            f"Byte {error.start} does not fit.",
            "Save it as UTF-8.",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(
            f"The settings file {path} is not valid TOML.",
            f"{error}.",
            'Correct that place; text needs quotes, as in theme = "name".',
        ) from None
    return Source(name=str(path), values=values, folder=path.parent, foreign=foreign, text=text)


def environment(environ: Mapping[str, str], folder: Path) -> list[Source]:
    """The variables `HEARTH_SECTION__KEY`; an empty one counts as not set."""
    names = {
        name[len(PREFIX) :].lower().replace("__", "."): name
        for name, value in environ.items()
        if name.startswith(PREFIX) and "__" in name and value
    }
    values = {key: environ[name] for key, name in names.items()}
    return (
        [Source(name="environment", values=values, folder=folder, lenient=True, names=names)]
        if values
        else []
    )


def command_line(flags: Mapping[str, Any], folder: Path) -> Source:
    """Flags by dotted key."""
    return Source(name="command line", values=flags, folder=folder, lenient=True)


_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([\w\"'.\s-]+?)\s*=")


def line_of(text: str, key: str) -> int | None:
    """The line (from 1) of TOML `text` that sets `key` or opens a table around it; None if none is seen."""
    table = ""
    best: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _plain(header[1]) + "."
            if _plain(header[1]) == key:
                best = number
        elif assignment := _KEY.match(line):
            name = table + _plain(assignment[1])
            if name == key:
                return number
            if key.startswith(name + "."):
                best = number
    return best


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
