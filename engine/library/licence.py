"""The licence of a model folder, by the block of data before the text of its card (`README.md`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from engine.text_safety import plain

MAX_BYTES: Final = 64 * 1024
"""The block stands at the beginning."""
_FRONT: Final = re.compile(r"\A---[ \t]*\r?\n(?P<data>.*?)\n---", re.DOTALL)
_LINE: Final = re.compile(r"^(?P<key>license|license_name):[ \t]*(?P<value>[^\n#]+)", re.MULTILINE)


def licence_in(folder: Path) -> str:
    """What the card says, such as `apache-2.0`; empty without one. `other` goes before its name."""
    try:
        with open(folder / "README.md", "rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    front = _FRONT.match(text)
    said = {line["key"]: line["value"] for line in _LINE.finditer(front["data"])} if front is not None else {}
    found = {key: plain(value.strip(" \t\r\"'[]"), 80) for key, value in said.items()}
    licence, name = found.get("license", ""), found.get("license_name", "")
    return name if licence in ("", "other") and name else licence
