"""A file that is being fetched: its bytes at their places, and a journal of which of them are there.

The file is cut into pieces of 1 MiB. A piece is written, then entered into the journal with its checksum; so whatever
kills the process, or the machine, costs the pieces that were on their way. The journal is 12 bytes a piece, appended:
index, CRC-32 of the piece, CRC-32 of the entry; what is torn or does not check counts as not written, the last entry of
a piece counts. Every piece is held against its checksum once more before it goes into the hash of the whole file, which
has the last word: a bad disk costs a piece.

Disk work: not for an event loop. One process at a time, which the lock of the cache's own convention sees to.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path
from typing import Final

PIECE: Final = 1 << 20
SUFFIX: Final = ".hearth.incomplete"
JOURNAL: Final = ".hearth.journal"
_MAGIC: Final = b"HEARTHP2"
_HEAD: Final = struct.Struct("<8sQQ")
_ENTRY: Final = struct.Struct("<III")
_GONE: Final = 1 << 31
"""Set in the index of a piece that is not there any more."""
_SYNCED: Final = 64
"""Pieces after which what was written is made to reach the disk."""


class Partial:
    """The unfinished file for the blob at `blob`, of `size` bytes; what an earlier one left is taken up."""

    def __init__(self, blob: Path, size: int) -> None:
        self.size = size
        self.pieces = -(-size // PIECE)
        self._blob = blob
        self._file = blob.with_name(blob.name + SUFFIX)
        self._journal = blob.with_name(blob.name + JOURNAL)
        self._sums: dict[int, int] = {}
        self._unsynced = 0
        self._data = self._log = -1

    def open(self) -> None:
        """Open both files, making what is missing. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._data = os.open(self._file, flags, 0o644)
        self._log = os.open(self._journal, flags | os.O_APPEND, 0o644)
        if not self._taken_up():
            os.ftruncate(self._log, 0)
            os.ftruncate(self._data, 0)
            os.ftruncate(self._data, self.size)
            _write(self._log, _HEAD.pack(_MAGIC, self.size, PIECE))

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._blob.parent

    @property
    def done(self) -> int:
        """Bytes of the pieces that are there."""
        return sum(self.length(index) for index in self._sums)

    def missing(self) -> list[int]:
        """The pieces that are not there."""
        return [index for index in range(self.pieces) if index not in self._sums]

    def has(self, index: int) -> bool:
        return index in self._sums

    def length(self, index: int) -> int:
        """Bytes of a piece; the last may be shorter."""
        return min(PIECE, self.size - index * PIECE)

    def write(self, index: int, data: bytes | bytearray) -> bool:
        """Put a piece into its place; whether it differs from what was there before. Raises OSError."""
        assert len(data) == self.length(index)
        checksum = zlib.crc32(data)
        changed = self._sums.get(index) != checksum
        at = index * PIECE
        view = memoryview(data)
        while view:
            count = os.pwrite(self._data, view, at)
            view, at = view[count:], at + count
        self._enter(index, checksum)
        self._sums[index] = checksum
        self._unsynced += 1
        if self._unsynced >= _SYNCED:
            self.sync()
        return changed

    def read(self, index: int) -> bytes | None:
        """A piece, if it is what was written; else it counts as missing from now on, and None. Raises OSError."""
        data = os.pread(self._data, self.length(index), index * PIECE)
        if zlib.crc32(data) == self._sums.get(index):
            return data
        self.forget(index)
        return None

    def forget(self, index: int) -> None:
        """Count a piece as missing. Raises OSError."""
        if self._sums.pop(index, None) is not None:
            self._enter(index | _GONE, 0)

    def sync(self) -> None:
        """Have what was written reach the disk: bytes first, so that the journal never says too much."""
        os.fdatasync(self._data) if hasattr(os, "fdatasync") else os.fsync(self._data)
        os.fsync(self._log)
        self._unsynced = 0

    def finish(self) -> None:
        """Make the complete file the blob. Raises OSError."""
        os.fsync(self._data)
        os.rename(self._file, self._blob)
        _sync_folder(self._blob.parent)
        self._journal.unlink(missing_ok=True)

    def discard(self) -> None:
        """Throw everything away. Raises OSError."""
        self._journal.unlink(missing_ok=True)
        self._file.unlink(missing_ok=True)

    def close(self) -> None:
        for descriptor in (self._data, self._log):
            if descriptor >= 0:
                os.close(descriptor)
        self._data = self._log = -1

    def _enter(self, index: int, checksum: int) -> None:
        entry = _ENTRY.pack(index, checksum, 0)[:-4]
        _write(self._log, entry + zlib.crc32(entry).to_bytes(4, "little"))

    def _taken_up(self) -> bool:
        """Read the journal of an earlier process; False if there is none, or none for this file."""
        log = _read(self._log)
        if len(log) < _HEAD.size or _HEAD.unpack_from(log) != (_MAGIC, self.size, PIECE):
            return False
        if os.fstat(self._data).st_size != self.size:
            return False
        end = _HEAD.size + (len(log) - _HEAD.size) // _ENTRY.size * _ENTRY.size
        for at in range(_HEAD.size, end, _ENTRY.size):
            index, checksum, check = _ENTRY.unpack_from(log, at)
            if zlib.crc32(log[at : at + _ENTRY.size - 4]) != check:
                continue
            if index & _GONE:
                self._sums.pop(index ^ _GONE, None)
            elif index < self.pieces:
                self._sums[index] = checksum
        # A torn entry at the end would shift all that follow it.
        os.ftruncate(self._log, end)
        return True


class Whole:
    """The hash of a whole file, in the form that names its content in the cache.

    SHA-256 for large files; a file that lies in git itself has the SHA-1 of a git blob.
    """

    def __init__(self, etag: str, size: int) -> None:
        self._etag = etag
        self._hash = hashlib.sha256() if len(etag) == 64 else hashlib.sha1(f"blob {size}\0".encode())

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    @property
    def right(self) -> bool:
        """Whether what went in is the file."""
        return self._hash.hexdigest() == self._etag


def left_behind(blob: Path) -> int:
    """Bytes that an unfinished download of `blob` has on this machine."""
    try:
        return os.stat(blob.with_name(blob.name + SUFFIX)).st_blocks * 512
    except OSError:
        return 0


def _write(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) != len(data):
        raise OSError(28, os.strerror(28))


def _read(descriptor: int) -> bytes:
    pieces = []
    at = 0
    while piece := os.pread(descriptor, 1 << 20, at):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
