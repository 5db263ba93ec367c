"""`@file` in the prompt: which files are offered, and how a text file is read in. Run these in a thread."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidRequest
from tui import units

LARGEST = 256 * 1024
"""Bytes of a file at most; the window sets the real limit, in tokens."""
MOST_OFFERED = 50
MOST_LOOKED_AT = 2000
_OPEN = re.compile(r'(?:^|(?<=\s))@(?:"([^"\n]*)|([^\s"]*))$')
_MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|([^\s"]+))')
_HIDDEN = (".", "__pycache__", "node_modules")


@dataclass(frozen=True, slots=True)
class Mention:
    """A mention being typed: `start` is the column of its `@`."""

    name: str
    start: int


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file that was read."""

    path: Path
    text: str

    def fenced(self) -> str:
        """The file as the model reads it: named, in a fence that is longer than any within."""
        longest = max((len(run) for run in re.findall(r"`{3,}", self.text)), default=2)
        fence = "`" * (longest + 1)
        end = "" if self.text.endswith("\n") else "\n"
        return f"{self.path.name}:\n{fence}{self.path.suffix[1:]}\n{self.text}{end}{fence}\n"


def open_mention(line: str) -> Mention | None:
    """The mention that ends at the end of `line` (the prompt's line up to the cursor)."""
    found = _OPEN.search(line)
    return Mention(found[1] if found[1] is not None else found[2], found.start()) if found else None


def mentioned(text: str) -> list[str]:
    """The names behind the `@`s of a message, each once, in order."""
    return list(dict.fromkeys(quoted or bare for quoted, bare in _MENTION.findall(text)))


def written(name: str) -> str:
    """The mention of a file as it is typed: quoted where the name has spaces."""
    return f'@"{name}"' if " " in name else f"@{name}"


def existing(name: str, folder: Path) -> str | None:
    """`name` if there is such a file, the sentence's punctuation behind it taken off if need be; else None."""
    for candidate in (name, name.rstrip(".,;:!?)]}'")):
        try:
            if candidate and (folder / Path(candidate).expanduser()).is_file():
                return candidate
        except (OSError, RuntimeError, ValueError):
            return None
    return None


def candidates(name: str, folder: Path) -> list[tuple[str, bool]]:
    """(path as it is typed, whether it is a folder) of what fits `name`, seen from `folder`; folders first."""
    typed, _, last = name.rpartition("/")
    prefix = f"{typed}/" if typed or name.startswith("/") else ""
    try:
        where = folder / Path(prefix or ".").expanduser()
        with os.scandir(where) as entries:
            found = [
                (prefix + entry.name, entry.is_dir())
                for entry, _ in zip(entries, range(MOST_LOOKED_AT), strict=False)
                if last.lower() in entry.name.lower()
                and (last.startswith(".") or not entry.name.startswith(_HIDDEN))
            ]
    except (OSError, RuntimeError, ValueError):
        return []
    found.sort(
        key=lambda item: (not _name(item[0]).lower().startswith(last.lower()), not item[1], item[0].lower())
    )
    return found[:MOST_OFFERED]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def read(name: str, folder: Path) -> TextFile:
    """The text file that `name` mentions. Raises InvalidRequest if it is absent, too large or not text."""
    shown = f"@{name}"
    try:
        path = folder / Path(name).expanduser()
        if not path.is_file():
            raise InvalidRequest(f"{shown} is not a file.", fix="Name a text file.")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
            size = os.fstat(file.fileno()).st_size
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidRequest(f"{shown} cannot be read.", f"{why}.") from None
    if len(data) > LARGEST:
        raise InvalidRequest(
            f"{shown} is too large.",
            f"It has {units.size(max(size, len(data)))}, and {units.size(LARGEST)} is the limit.",
            "Copy the part that matters.",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidRequest(
            f"{shown} is not a text file.", "It is not UTF-8 text.", "Only text can be put in."
        )
    return TextFile(path, text.replace("\r\n", "\n"))
