"""Remembers what was read from a file until the file changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from engine.errors import HearthError

T = TypeVar("T")
Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp:
    """What tells one state of a file from another: size, time of change, inode. Raises OSError."""
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


class Remembered(Generic[T]):
    """`read`, done once for each state of a file; its HearthError is remembered too. Usable from any thread.

    `stamp` tells the states apart; where it raises OSError nothing is remembered.
    """

    def __init__(self, read: Callable[[Path], T], stamp: Callable[[Path], Hashable] = stamp_of) -> None:
        self._read, self._stamp = read, stamp
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[Hashable, T | HearthError]] = {}

    def of(self, path: Path) -> T:
        """What `read` gives for `path`: the same object as long as the file stays as it is."""
        try:
            stamp = self._stamp(path)
        except OSError:
            return self._read(path)
        with self._lock:
            known = self._known.get(path)
        if known is None or known[0] != stamp:
            found: T | HearthError
            try:
                found = self._read(path)
            except HearthError as error:
                found = error
            known = (stamp, found)
            with self._lock:
                self._known[path] = known
        if isinstance(known[1], HearthError):
            # A copy: one exception raised in two threads would tangle their tracebacks.
            raise HearthError.from_info(known[1].info)
        return known[1]
