"""Headers of GGUF files as they were read before, kept from one run to the next.

A header holds a vocabulary, which takes a tenth of a second to pass over, and every command line lists every model.
What is kept is what `gguf.Header` holds, by path and state of the file. The file is disposable: what is damaged, or
of another version, counts as nothing. Disk work; usable from any thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import zlib
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.errors import HearthError
from engine.library.gguf import Header, SkippedArray, Tensor, read_header
from engine.library.remembered import Stamp, stamp_of
from engine.paths import ensure

log = logging.getLogger(__name__)

VERSION: Final = 1
"""Goes up when `gguf` reads files in another way, or keeps more of them."""
MOST: Final = 4000
MAX_BYTES: Final = 512 << 20
MAX_HEADER: Final = 1 << 20
"""Bytes; a header that takes more is read anew each time."""
_SKIPPED: Final = 1


class _Line(Struct, frozen=True, array_like=True):
    stamp: Stamp
    header: bytes
    check: int
    """CRC-32 of `header`."""


class _File(Struct, frozen=True, array_like=True):
    version: int
    lines: dict[str, _Line]


class _Kept(Struct, frozen=True, array_like=True):
    version: int
    metadata: dict[str, Any]
    tensors: tuple[tuple[str, tuple[int, ...], str, int, int], ...]
    file_size: int
    size: int


class KeptHeaders:
    """The headers in `file`; None: nothing is kept."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] | None = None
        self._changed = False

    def of(self, path: Path) -> Header:
        """The header of the file at `path`. Raises as `gguf.read_header`."""
        try:
            stamp = stamp_of(path)
        except OSError:
            return read_header(path)
        with self._lock:
            line = self._known().get(_key(path))
        if line is not None and line.stamp == stamp and zlib.crc32(line.header) == line.check:
            with contextlib.suppress(msgspec.MsgspecError, ValueError, TypeError):
                return _decoded(line.header)
        header = read_header(path)
        data = _encoded(header)
        if len(data) <= MAX_HEADER:
            with self._lock:
                lines = self._known()
                # The newest stand last.
                lines.pop(_key(path), None)
                lines[_key(path)] = _Line(stamp, data, zlib.crc32(data))
                self._changed = True
        return header

    def save(self) -> None:
        """Write what is new, if anything is; what cannot be written is read anew the next time."""
        with self._lock:
            if not self._changed or self._file is None:
                return
            self._changed = False
            known = self._known()
            # Another process may have learnt of other files meanwhile; its own stand last.
            lines = {path: line for path, line in _read(self._file).items() if path not in known} | known
            for path in list(lines)[: max(0, len(lines) - MOST)]:
                del lines[path]
            self._lines = lines
            data = msgspec.msgpack.encode(_File(VERSION, lines))
        unfinished = self._file.with_name(f"{self._file.name}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            ensure(self._file.parent)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            unfinished.rename(self._file)
        except (OSError, HearthError) as error:
            log.warning("%s cannot be written: %s", self._file.name, error)
            with contextlib.suppress(OSError):
                unfinished.unlink()

    def _known(self) -> dict[str, _Line]:
        if self._lines is None:
            self._lines = {} if self._file is None else _read(self._file)
        return self._lines


def _key(path: Path) -> str:
    """The path as text, which names of files need not be."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _read(file: Path) -> dict[str, _Line]:
    try:
        if file.stat().st_size > MAX_BYTES:
            return {}
        found = msgspec.msgpack.decode(file.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return found.lines if found.version == VERSION else {}


def _encoded(header: Header) -> bytes:
    metadata = {
        key: msgspec.msgpack.Ext(_SKIPPED, value.length.to_bytes(8, "little"))
        if isinstance(value, SkippedArray)
        else value
        for key, value in header.metadata.items()
    }
    tensors = tuple((each.name, each.shape, each.type, each.offset, each.size) for each in header.tensors)
    return msgspec.msgpack.encode(_Kept(header.version, metadata, tensors, header.file_size, header.size))


def _decoded(data: bytes) -> Header:
    kept = _DECODER.decode(data)
    return Header(
        version=kept.version,
        metadata={
            key: tuple(value) if isinstance(value, list) else value for key, value in kept.metadata.items()
        },
        tensors=tuple(Tensor(*each) for each in kept.tensors),
        file_size=kept.file_size,
        size=kept.size,
    )


def _extension(code: int, data: memoryview) -> SkippedArray:
    if code != _SKIPPED:
        raise ValueError(code)
    return SkippedArray(int.from_bytes(data, "little"))


_DECODER: Final = msgspec.msgpack.Decoder(_Kept, ext_hook=_extension)
