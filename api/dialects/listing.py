"""The models that the lists of all dialects name: each model, and each adapter as a model of its own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from engine.types import ModelEntry

if TYPE_CHECKING:
    from api.hub import Hub

_FRESH_S: Final = 1.0
"""How long a list is believed: folders are read for each."""


class Listed(Struct, frozen=True, kw_only=True):
    """A name that a request may give. `parent` is the model that an adapter is laid over; times in Unix seconds."""

    id: str
    entry: ModelEntry
    modified: float
    parent: str | None = None

    @property
    def digest(self) -> str:
        """64 hex digits that change when the file does; no checksum of its content."""
        text = f"{self.id}\0{self.entry.path}\0{self.entry.size}\0{self.modified}"
        return hashlib.sha256(text.encode()).hexdigest()


class Listing:
    """The list, read again when it is older than a second."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._read = -_FRESH_S
        self._listed: tuple[Listed, ...] = ()
        self._lock = asyncio.Lock()

    async def all(self) -> tuple[Listed, ...]:
        """Every name, the models in the engine's order with their adapters behind them."""
        async with self._lock:
            if time.monotonic() - self._read >= _FRESH_S:
                entries = await self._hub.engine.models()
                self._listed = await asyncio.to_thread(_listed, entries)
                self._read = time.monotonic()
            return self._listed

    async def find(self, name: str) -> Listed | None:
        """The entry of a name; case does not matter, nor a tag `:latest`."""
        wanted = name.strip().lower().removesuffix(":latest")
        listed = await self.all()
        found = next((one for one in listed if one.id.lower() == wanted), None)
        also = (one for one in listed if wanted in (name.lower() for name in one.entry.also))
        return found or next(also, None)


def _listed(entries: list[ModelEntry]) -> tuple[Listed, ...]:
    found: list[Listed] = []
    for entry in entries:
        if entry.broken or not entry.backends:
            continue
        modified = _modified(entry)
        found.append(Listed(id=entry.id, entry=entry, modified=modified))
        found += [
            Listed(id=f"{entry.id}:{name}", entry=entry, modified=modified, parent=entry.id)
            for name in entry.adapters
        ]
    return tuple(found)


def _modified(entry: ModelEntry) -> float:
    try:
        return os.stat(Path(entry.path)).st_mtime
    except OSError:
        return 0.0
