"""Files that conversations go to and come from: which form a name asks for."""

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


def read_file(path: str) -> bytes:
    """What a file holds. Raises StorageFailed. For threads."""
    try:
        with open(os.path.expanduser(path), "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise StorageFailed(f"{plain(path, 60)} cannot be read.", f"{why}.") from None
