"""Computed prefixes on disk: they outlive the worker, and come back when a prompt begins like them.

A file holds the tokens of one sequence and their state as the backend saved it. It is named by what it is about,
written beside its final name and moved there, and believed only if its name is true and its checksum holds. Files are
shared by all processes of a user; the ones used longest ago leave when the folder grows too large. One thread here
does all reading and writing, so that no step waits for a disk: what it found or did is fetched with `news`.

    magic "HKV1" · u32 length of the header, little-endian · header (JSON, `_Header`) · tokens (int32) · state
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import shutil
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Struct

from engine.runtime.worker.prefix import Tokens

_MAGIC = b"HKV1"
_LENGTH = struct.Struct("<I")
_LONGEST_HEADER = 64 * 1024
_STALE = 600.0
"""Seconds after which a half-written file belongs to nobody."""
_FREE_SHARE = 0.05
"""Part of the disk that is left free in any case."""


class Entry(Struct, frozen=True):
    """A sequence on disk; `file` is its number in this process, `root` what its state was computed under."""

    file: int
    root: str
    tokens: Tokens
    exact: bool


class Loaded(Struct, frozen=True):
    """The state that `read` asked for; None: it is not there any more, or damaged, and now deleted."""

    file: int
    state: memoryview | None


class Opened(Struct, frozen=True):
    """Everything that earlier processes left has been told."""


class _Header(Struct, frozen=True, kw_only=True):
    identity: str
    root: str
    exact: bool
    tokens: Annotated[int, msgspec.Meta(ge=0)]
    state_bytes: Annotated[int, msgspec.Meta(ge=0)]
    checksum: str


class KvStore:
    """The saved prefixes of one model. `identity` names all that a state depends on; it is called on the thread.

    `limit` is in bytes, for the folder as a whole, other models' files included. `wake` is called, on the thread, when
    there are news, `complain` with a sentence when something went wrong.
    """

    def __init__(
        self,
        folder: Path,
        limit: int,
        identity: Callable[[], str],
        wake: Callable[[], None],
        complain: Callable[[str], None],
    ) -> None:
        self._folder, self._limit, self._identity, self._wake = folder, limit, identity, wake
        self._complain = complain
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[Entry | Loaded | Opened] = queue.SimpleQueue()
        self._paths: dict[int, Path] = {}
        self._next = 0
        self._key = ""
        self._thread = threading.Thread(target=self._run, name="kv-store", daemon=True)
        self._thread.start()
        self._work.put(self._begin)

    # --- from the runner's thread

    def news(self) -> list[Entry | Loaded | Opened]:
        """What was found and read since the last call."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._news.get_nowait())
        return found

    def write(self, root: str, tokens: Tokens, state: memoryview, *, exact: bool) -> int:
        """Save a state; returns the number of its file, which can be read from now on, unless the disk is full."""
        number = self._number()
        self._work.put(lambda: self._write(number, root, tokens, state, exact))
        return number

    def read(self, file: int) -> None:
        """Ask for the state in `file`: it comes as `Loaded`."""
        self._work.put(lambda: self._read(file))

    def delete(self, file: int) -> None:
        self._work.put(lambda: self._delete(file))

    def close(self, timeout: float) -> None:
        """Finish what was asked, waiting up to `timeout` seconds."""
        self._work.put(None)
        self._thread.join(timeout)

    # --- on the thread

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception as error:
                self._complain(f"A saved prefix could not be kept: {type(error).__name__}: {error}.")

    def _tell(self, news: Entry | Loaded | Opened) -> None:
        self._news.put(news)
        self._wake()

    def _number(self) -> int:
        self._next += 1
        return self._next

    @property
    def _place(self) -> Path:
        return self._folder / self._key

    def _begin(self) -> None:
        try:
            self._open()
        finally:
            self._tell(Opened())

    def _open(self) -> None:
        """Find what earlier processes left for this model."""
        identity = self._identity()
        self._key = hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()
        if not self._place.is_dir():
            return
        for left in self._place.glob("*.part"):
            # A writer that was killed; one at work has touched its file just now.
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE:
                    left.unlink()
        for _, _, path in sorted(_files(self._place.glob("*.kv"))):
            try:
                with path.open("rb") as file:
                    header = _read_header(file)
                    body = file.read(4 * header.tokens)
                if path.stem != _name(header.root, body):
                    raise ValueError("it is not what its name says")
            except OSError:
                # Another process may just have deleted it.
                continue
            except (ValueError, msgspec.MsgspecError):
                path.unlink(missing_ok=True)
                continue
            if header.identity == identity:
                number = self._number()
                self._paths[number] = path
                tokens = np.frombuffer(body, "<i4").astype(np.int32)
                self._tell(Entry(number, header.root, tokens, header.exact))

    def _write(self, number: int, root: str, tokens: Tokens, state: memoryview, exact: bool) -> None:
        self._place.mkdir(parents=True, exist_ok=True, mode=0o700)
        body = tokens.astype("<i4").tobytes()
        path = self._place / f"{_name(root, body)}.kv"
        size = len(body) + state.nbytes
        if not self._make_room(size, path):
            return
        header = _Header(
            identity=self._identity(),
            root=root,
            exact=exact,
            tokens=len(tokens),
            state_bytes=state.nbytes,
            checksum=hashlib.blake2b(state, digest_size=16).hexdigest(),
        )
        encoded = msgspec.json.encode(header)
        with tempfile.NamedTemporaryFile(dir=self._place, suffix=".part", delete=False) as file:
            try:
                for part in (_MAGIC, _LENGTH.pack(len(encoded)), encoded, body, state):
                    file.write(part)
                file.flush()
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        self._paths[number] = path

    def _read(self, file: int) -> None:
        path = self._paths.get(file)
        state: memoryview | None = None
        try:
            if path is not None:
                state = _read_state(path)
                os.utime(path)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            self._complain(f"A saved prefix could not be read: {error}.")
            self._delete(file)
        finally:
            # Somebody waits for it, whatever went wrong.
            self._tell(Loaded(file, state))

    def _delete(self, file: int) -> None:
        path = self._paths.pop(file, None)
        # The same sequence, written twice, is one file.
        if path is not None and path not in self._paths.values():
            path.unlink(missing_ok=True)

    def _make_room(self, size: int, beside: Path) -> bool:
        """Whether `size` bytes more fit under the limit and on the disk, after deleting what is oldest."""
        files = _files(self._folder.glob("*/*"))
        total = sum(each[1] for each in files if each[2] != beside)
        disk = shutil.disk_usage(self._folder)
        if size > self._limit or disk.free - size < disk.total * _FREE_SHARE:
            return False
        for _, each, path in sorted(files):
            if total + size <= self._limit:
                break
            if path != beside:
                path.unlink(missing_ok=True)
                total -= each
        return True


def _name(root: str, body: bytes) -> str:
    """What a file is called that holds the state of the tokens `body`, computed under `root`."""
    return hashlib.blake2b(root.encode() + b"\0" + body, digest_size=16).hexdigest()


def _files(paths: Iterable[Path]) -> list[tuple[float, int, Path]]:
    """Time of the last use and size of those of `paths` that are still there."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            facts = path.stat()
            found.append((facts.st_mtime, facts.st_size, path))
    return found


def _read_header(file: Any) -> _Header:
    """The header of an open file, which is left at the tokens. Raises ValueError for one that is no whole file."""
    start = file.read(8)
    if len(start) < 8 or start[:4] != _MAGIC:
        raise ValueError("it is no saved prefix")
    (length,) = _LENGTH.unpack_from(start, 4)
    if length > _LONGEST_HEADER:
        raise ValueError("its header is too long")
    header = msgspec.json.decode(file.read(length), type=_Header)
    if os.fstat(file.fileno()).st_size - file.tell() != 4 * header.tokens + header.state_bytes:
        raise ValueError("it is cut short")
    return header


def _read_state(path: Path) -> memoryview:
    with path.open("rb") as file:
        header = _read_header(file)
        file.seek(4 * header.tokens, os.SEEK_CUR)
        state = memoryview(bytearray(header.state_bytes))
        file.readinto(state)
    if hashlib.blake2b(state, digest_size=16).hexdigest() != header.checksum:
        raise ValueError("its checksum does not hold")
    return state
