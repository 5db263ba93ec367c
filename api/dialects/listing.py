"""The models that the lists of all dialects name: each model, each adapter as a model of its own, each alias."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from engine.errors import HearthError
from engine.types import Alias, ModelEntry, NamedAlias

if TYPE_CHECKING:
    from api.hub import Hub

_FRESH_S: Final = 1.0
"""How long a list is believed: folders are read for each."""


class Listed(Struct, frozen=True, kw_only=True):
    """A name that a request may give. `parent` is the model behind an adapter or an alias; times in Unix seconds."""

    id: str
    entry: ModelEntry
    modified: float
    parent: str | None = None
    adapter: str | None = None
    """The adapter that the name itself asks for, or its alias does; several are joined by commas."""
    alias: Alias | None = None

    @property
    def digest(self) -> str:
        """64 hex digits that change when the file or the alias does; no checksum of its content."""
        text = f"{self.id}\0{self.entry.path}\0{self.entry.size}\0{self.modified}"
        if self.alias is not None:
            text += f"\0{msgspec.json.encode(self.alias).decode()}"
        return hashlib.sha256(text.encode()).hexdigest()


class Listing:
    """The list, read again when it is older than a second."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._read = -_FRESH_S
        self._listed: tuple[Listed, ...] = ()
        self._lock = asyncio.Lock()

    async def all(self) -> tuple[Listed, ...]:
        """Every name: the models in the engine's order with their adapters behind them, then the aliases."""
        async with self._lock:
            if time.monotonic() - self._read >= _FRESH_S:
                entries = await self._hub.engine.models()
                listed = await asyncio.to_thread(_listed, entries)
                self._listed = (*listed, *await self._aliases(entries, listed))
                self._read = time.monotonic()
            return self._listed

    def forget(self) -> None:
        """What there is has been changed through this server: read it again at the next look."""
        self._read = -_FRESH_S

    async def find(self, name: str) -> Listed | None:
        """The entry of a name; case does not matter, nor a tag `:latest`.

        A name that no list has, such as one of the settings, is found by what the engine makes of it.
        """
        wanted = name.strip().lower().removesuffix(":latest")
        listed = await self.all()
        found = _named(listed, wanted)
        if found is not None or self._hub.is_scripted(name.strip()):
            return found
        head, colon, adapter = wanted.rpartition(":")
        if colon and (alias := _named(listed, head)) is not None and alias.alias is not None:
            known = next((each for each in alias.entry.adapters if each.lower() == adapter), None)
            if known is not None:
                return msgspec.structs.replace(alias, id=f"{alias.id}:{known}", adapter=known)
            return None
        with contextlib.suppress(HearthError):
            setup = await self._hub.engine.setup(name.strip())
            model = _named(listed, setup.model.lower())
            if model is not None:
                return msgspec.structs.replace(model, id=name.strip(), parent=model.id)
        return None

    async def _aliases(self, entries: list[ModelEntry], listed: Iterable[Listed]) -> list[Listed]:
        """The aliases that lead to a model that is here."""
        try:
            named = await self._hub.engine.aliases()
        except HearthError:
            # Whoever names one is told what is wrong with the file; models are listed all the same.
            return []
        by_name = {one.id.lower(): one for one in listed}
        found: list[Listed] = []
        others: list[NamedAlias] = []
        for each in named:
            if each.alias is None:
                continue
            model = by_name.get(each.alias.model.lower().removesuffix(":latest"))
            if model is None:
                others.append(each)
            else:
                found.append(_aliased(each, model.entry, model))
        if others:
            # Such as a path, or a name of the settings: the engine knows better.
            rows = {row.name: row for row in await self._hub.engine.listing() if row.kind == "alias"}
            for each in others:
                row = rows.get(each.name)
                if row is not None and row.entry is not None and not row.entry.broken:
                    model = by_name.get(row.entry.id.lower())
                    found.append(_aliased(each, row.entry, model))
        return sorted(found, key=lambda one: one.id.lower())


def _aliased(named: NamedAlias, entry: ModelEntry, model: Listed | None) -> Listed:
    alias = named.alias
    assert alias is not None
    own = [each.name for each in alias.adapters or ()]
    adapter = ", ".join(Path(name).stem if os.sep in name else name for name in own) or None
    if alias.adapters is None and model is not None:
        adapter = model.adapter
    return Listed(
        id=named.name,
        entry=entry,
        modified=model.modified if model is not None else _modified(entry),
        parent=entry.id,
        adapter=adapter,
        alias=alias,
    )


def _named(listed: Iterable[Listed], wanted: str) -> Listed | None:
    """The one of that name, in lower case; an alias goes before a model."""
    listed = tuple(listed)
    several = [one for one in listed if one.id.lower() == wanted]
    also = (one for one in listed if wanted in (name.lower() for name in one.entry.also))
    return several[-1] if several else next(also, None)


def _listed(entries: list[ModelEntry]) -> tuple[Listed, ...]:
    found: list[Listed] = []
    for entry in entries:
        if entry.broken or not entry.backends:
            continue
        modified = _modified(entry)
        found.append(Listed(id=entry.id, entry=entry, modified=modified))
        found += [
            Listed(id=f"{entry.id}:{name}", entry=entry, modified=modified, parent=entry.id, adapter=name)
            for name in entry.adapters
        ]
    return tuple(found)


def _modified(entry: ModelEntry) -> float:
    try:
        return os.stat(Path(entry.path)).st_mtime
    except OSError:
        return 0.0
