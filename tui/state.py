"""What the screen remembers between runs: theme and model last chosen, conversation last open. No settings."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from engine import paths


class UiState(Struct, kw_only=True, omit_defaults=True):
    """Empty text: never chosen, so the settings hold."""

    theme: str = ""
    model: str = ""
    conversation: str = ""


def load(path: Path) -> UiState:
    """The state in `path`; a file that is missing or damaged counts as empty."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=UiState)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return UiState()


def save(path: Path, state: UiState) -> None:
    """Replace `path` at once. Raises StorageFailed or OSError when the folder will not have it."""
    paths.ensure(path.parent)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(path)
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()
