"""Files that conversations go to and come from: which form a name asks for."""

from __future__ import annotations

import os
from pathlib import Path

from engine.types import ConversationForm


def form_of(path: str) -> ConversationForm:
    """The form that a file's name asks for."""
    name = path.lower()
    if name.endswith(".openai.json"):
        return "openai"
    return "json" if name.endswith(".json") else "markdown"


def path_of(typed: str) -> Path:
    """The path that somebody typed, `~` and all."""
    return Path(os.path.expanduser(typed))
