"""Drafts that are not saved, kept in the state folder, so that they outlive a terminal that is closed or a crash.

Disk work: not for an event loop.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from engine import paths
from engine.types import Alias
from tui.screens.aliases.draft import Draft


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A draft on disk; `wrong` are the texts that cannot be read, by field."""

    name: str
    kept: Alias | None = None
    alias: Alias
    wrong: dict[str, str] = {}


def written(drafts: Sequence[Draft]) -> bytes:
    """What the file says of `drafts`; nothing for none."""
    found = [
        Kept(
            name=draft.name,
            kept=draft.kept,
            alias=draft.alias,
            wrong={key: text for key, (text, _) in draft.wrong.items()},
        )
        for draft in drafts
    ]
    return msgspec.json.encode(found) if found else b""


def save(path: Path, content: bytes) -> None:
    """Replace the file at once; nothing to say takes it away. A disk that will not have it is no reason to stop."""
    with suppress(OSError):
        if not content:
            path.unlink(missing_ok=True)
            return
        paths.ensure(path.parent)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_bytes(content)
        fresh.chmod(0o600)
        fresh.replace(path)


def load(path: Path) -> list[Draft]:
    """The drafts in the file; one that is missing or damaged counts as empty, and so does a draft."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=list[msgspec.Raw])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    drafts = []
    for raw in found:
        try:
            each = msgspec.json.decode(raw, type=Kept)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue  # of another version, or damaged
        draft = Draft(each.name, each.kept, each.alias)
        for key, text in each.wrong.items():
            with suppress(KeyError):  # a field of another version
                draft.type(key, text)
        drafts.append(draft)
    return drafts
