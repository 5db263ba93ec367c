"""Files that conversations go to and come from: which form a name asks for, and that nothing is written over."""

from __future__ import annotations

import os

from engine.errors import StorageFailed
from engine.text_safety import plain
from engine.types import ConversationForm


def form_of(path: str) -> ConversationForm:
    """The form that a file's name asks for."""
    name = path.lower()
    if name.endswith(".openai.json"):
        return "openai"
    return "json" if name.endswith(".json") else "markdown"


def write_new(path: str, data: bytes) -> None:
    """Write a file that is not there yet, readable by its owner alone. Raises StorageFailed. For threads."""
    shown = plain(path, 60)
    try:
        descriptor = os.open(
            os.path.expanduser(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except FileExistsError:
        raise StorageFailed(f"{shown} exists already.", fix="Choose another name.") from None
    except OSError as error:
        raise StorageFailed(f"{shown} cannot be written.", f"{error.strerror or error}.") from None


def read_file(path: str) -> bytes:
    """What a file holds. Raises StorageFailed. For threads."""
    try:
        with open(os.path.expanduser(path), "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise StorageFailed(f"{plain(path, 60)} cannot be read.", f"{why}.") from None
