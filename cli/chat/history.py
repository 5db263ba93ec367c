"""What was typed into prompts before: one JSON text a line in the state folder, private to its owner."""

from __future__ import annotations

import json
import os
from pathlib import Path

from engine import paths
from engine.errors import StorageFailed

KEPT = 1000


def read(file: Path) -> list[str]:
    """The last prompts, oldest first; a line that is none of ours is passed over."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found: list[str] = []
    for line in lines[-KEPT:]:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, str):
            found.append(value)
    return found


def append(file: Path, prompt: str) -> None:
    """Add `prompt` at the end. Raises StorageFailed if the folder or the file cannot be used."""
    paths.ensure(file.parent)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(prompt) + "\n")
    except OSError as error:
        raise StorageFailed(f"The history {file} cannot be written.", f"{error.strerror or error}.") from None
