"""Remembers the pulls that were begun and are not done, so that a restart can say so and go on with them.

A record is written before the first byte is fetched and dropped when the model is there. What is not on the disk any
more, since somebody cleared the cache, is forgotten when somebody looks. Disk work: not for an event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from engine.errors import HearthError
from engine.hub.layout import Layout
from engine.hub.partial import left_behind
from engine.hub.reference import Reference, parse
from engine.store.notes import Notes
from engine.types import HubFile, PullState

MOST = 100


class Begun(Struct, frozen=True, kw_only=True):
    """A pull as it was planned."""

    commit: str
    files: tuple[HubFile, ...]


class Unfinished:
    """The table in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._notes: Notes[Begun] = Notes(path, Begun, most=MOST)

    def begin(self, reference: Reference, commit: str, files: Sequence[HubFile]) -> None:
        """A pull of `files` is about to fetch."""
        self._notes.put(str(reference), Begun(commit=commit, files=tuple(files)))

    def finish(self, reference: Reference) -> None:
        """It is done."""
        self._notes.drop(str(reference))

    def states(self, cache: Path) -> list[PullState]:
        """Every pull of which something is in the cache and something is missing, the newest first."""
        return [state for key in self._notes.newest() if (state := self._state(key, cache)) is not None]

    def _state(self, key: str, cache: Path) -> PullState | None:
        record = self._notes.get(key)
        try:
            layout = Layout(cache, parse(key))
        except HearthError:
            record = None
        if record is None:
            self._notes.drop(key)
            return None
        files = {file.etag: file for file in record.files}.values()
        here = [file for file in files if layout.is_here(file)]
        done = sum(file.size for file in here)
        done += sum(left_behind(layout.blob(file)) for file in files if file not in here)
        if not done:
            self._notes.drop(key)
            return None
        return PullState(
            id="",
            model=key,
            stage="interrupted",
            files=len(files),
            files_done=len(here),
            size=sum(file.size for file in files),
            done=done,
            commit=record.commit,
        )
