"""Finds out what a model name stands for: its files, its backend, the adapters that come with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from engine.errors import InvalidRequest, ModelLoadFailed, Unsupported
from engine.hub.access import cache_folder
from engine.paths import Paths
from engine.runtime.backends import NAMES, OF_FORMAT
from engine.runtime.backends.script import PREFIX, parse
from engine.runtime.ticket import Target
from engine.settings import Settings
from engine.types import AdapterRef, BackendName, ModelEntry

if TYPE_CHECKING:
    from engine.library.catalog import Catalog


class Targets:
    """Looks names up in the catalog, which reads folders: not for the engine's loop."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self._settings, self._paths = settings, paths
        self._catalog: Catalog | None = None

    @property
    def catalog(self) -> Catalog:
        if self._catalog is None:
            from engine.library.catalog import Catalog

            self._catalog = Catalog(self._settings, self._paths, hub_cache=cache_folder())
        return self._catalog

    def find(self, name: str, backend: BackendName = "auto") -> Target:
        """Raises ModelNotFound, Unsupported if the backend cannot run it, ModelLoadFailed if it is broken."""
        if name.startswith(PREFIX):
            parse(name)
            entry = ModelEntry(id=name, path=name, format="scripted", source="path", backends=("scripted",))
            return Target(entry=entry, backend=_backend(entry, backend), is_named=backend != "auto")
        found = self.catalog.resolve(name)
        if found.entry.broken:
            raise ModelLoadFailed(
                f"{found.entry.id} cannot be loaded.",
                found.entry.broken,
                "Get the file again, or use another model.",
                param="model",
            )
        return Target(
            entry=found.entry,
            backend=_backend(found.entry, backend),
            is_named=backend != "auto",
            adapters=tuple(found.adapters),
            sampling=found.sampling,
        )

    def runnable(self, entries: Iterable[ModelEntry]) -> list[Target]:
        """Those of `entries` that can be run here, by themselves and on their usual backend."""
        able = [entry for entry in entries if not entry.broken and set(entry.backends) & set(NAMES)]
        return [Target(entry=entry, backend=_backend(entry, "auto")) for entry in able]

    def adapters(self, target: Target, asked: tuple[AdapterRef, ...] | None) -> tuple[AdapterRef, ...]:
        """Files and scales of the adapters of a request, ready to be loaded; None is the name's own.

        Raises ModelNotFound, InvalidRequest for one that is named twice, and ModelLoadFailed, Unsupported or
        StorageFailed for one that cannot be used or converted.
        """
        if asked is None:
            return target.adapters
        if target.entry.format != "scripted":
            return self.catalog.adapters(target.entry, asked)
        if len({each.name for each in asked}) < len(asked):
            raise InvalidRequest(
                "An adapter is named twice.",
                "A model holds each of its adapters once, with one scale.",
                "Name it once, with the scale that you want.",
                param="adapters",
            )
        return asked


def _backend(entry: ModelEntry, asked: BackendName) -> str:
    able = [name for name in (entry.backends or OF_FORMAT.get(entry.format, ())) if name in NAMES]
    if asked == "auto" and able:
        return able[0]
    if asked in able:
        return asked
    if asked not in ("auto", *NAMES):
        raise Unsupported(
            f"The backend {asked} is not part of this Hearth yet.",
            f"There are {', '.join(NAMES)}.",
            "Leave `backend` out.",
            param="backend",
        )
    if not able:
        raise Unsupported(
            f"No backend on this machine can run {entry.id}.",
            f"Its format is {entry.format}; there are {', '.join(NAMES)}.",
            param="model",
        )
    raise InvalidRequest(
        f"The backend {asked} cannot run {entry.id}.",
        f"Its format is {entry.format}.",
        f"Use one of: auto, {', '.join(able)}.",
        param="backend",
    )
