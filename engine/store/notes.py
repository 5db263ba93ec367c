"""What Hearth has learnt about model files, as a small JSON table of records by key in the state folder.

Several processes may read and write it: a write takes a lock, reads what others wrote, and replaces the file whole. It
is disposable: what is damaged counts as empty and is written anew, and where nothing can be written the process still
remembers its own. Disk work: not for an event loop.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from engine.errors import StorageFailed
from engine.paths import ensure

log = logging.getLogger(__name__)

MOST = 400
"""Records that are kept; the ones written longest ago go first."""
MAX_BYTES = 16 * 1024 * 1024

_T = TypeVar("_T")


class _Line(Struct, frozen=True):
    """A record as it lies in the file; `at` in Unix seconds."""

    at: float
    record: msgspec.Raw


class Notes(Generic[_T]):
    """The table in the file `path`, whose records are of the type `kind`. Usable from any thread."""

    def __init__(self, path: Path, kind: type[_T], *, most: int = MOST) -> None:
        self._path, self._kind, self._most = path, kind, most
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._seen: tuple[int, int, int] | None = None

    def get(self, key: str) -> _T | None:
        """The record of `key`; None if there is none, or none that can be read."""
        with self._lock:
            self._read()
            line = self._lines.get(key)
        if line is None:
            return None
        try:
            return msgspec.json.decode(line.record, type=self._kind)
        except msgspec.MsgspecError:
            # Written by another version of Hearth.
            return None

    def newest(self) -> list[str]:
        """The keys of all records, the one written last first."""
        with self._lock:
            self._read()
            return sorted(self._lines, key=lambda key: self._lines[key].at, reverse=True)

    def put(self, key: str, record: _T) -> None:
        """Keep `record` under `key`."""
        line = _Line(time.time(), msgspec.Raw(msgspec.json.encode(record)))
        self._change(lambda: self._add(key, line))

    def drop(self, key: str) -> None:
        """Forget the record of `key`, if there is one."""
        if self.get(key) is not None:
            self._change(lambda: self._lines.pop(key, None))

    def _change(self, change: Callable[[], object]) -> None:
        with self._lock:
            try:
                with self._held():
                    self._read()
                    change()
                    self._write()
            except (OSError, StorageFailed) as error:
                log.warning("%s cannot be written: %s", self._path.name, error)
                change()

    def _add(self, key: str, line: _Line) -> None:
        lines = {**self._lines, key: line}
        newest = sorted(lines, key=lambda name: lines[name].at, reverse=True)[: self._most]
        self._lines = {name: lines[name] for name in newest}

    def _read(self) -> None:
        try:
            facts = self._path.stat()
            stamp = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
            if stamp == self._seen:
                return
            if facts.st_size > MAX_BYTES:
                raise ValueError("it is too large")
            self._lines = msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Line])
            self._seen = stamp
        except FileNotFoundError:
            return
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            log.warning("%s is damaged and is begun anew: %s", self._path.name, error)

    def _write(self) -> None:
        unfinished = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(self._lines))
        unfinished.rename(self._path)
        facts = self._path.stat()
        self._seen = (facts.st_size, facts.st_mtime_ns, facts.st_ino)

    @contextmanager
    def _held(self) -> Iterator[None]:
        ensure(self._path.parent)
        lock = self._path.with_name(self._path.name + ".lock")
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
