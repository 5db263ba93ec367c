"""`@file` while it is typed in the prompt: what is offered. What is read and sent is in `tui.asking.files`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

MOST_OFFERED = 50
MOST_LOOKED_AT = 2000
_OPEN = re.compile(r'(?:^|(?<=\s))@(?:"([^"\n]*)|([^\s"]*))$')
_HIDDEN = (".", "__pycache__", "node_modules")


@dataclass(frozen=True, slots=True)
class Mention:
    """A mention being typed: `start` is the column of its `@`."""

    name: str
    start: int


def open_mention(line: str) -> Mention | None:
    """The mention that ends at the end of `line` (the prompt's line up to the cursor)."""
    found = _OPEN.search(line)
    return Mention(found[1] if found[1] is not None else found[2], found.start()) if found else None


def candidates(name: str, folder: Path) -> list[tuple[str, bool]]:
    """(path as it is typed, whether it is a folder) of what fits `name`, seen from `folder`; folders first.

    Looks into a folder, so run it in a thread.
    """
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
