"""Named records in a JSON file that people read and edit too: `{"version": 1, "<table>": {name: record}}`.

Several processes may change it at once: a change takes a lock, reads what is there, and replaces the file whole, so
that it is valid at every moment. What cannot be read is never written over: a file that is no JSON, or from a newer
Hearth, is refused with line and column until somebody mends it; one bad record is told apart from the others, which go
on working, and stays in the file as it is. Disk work: not for an event loop.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
from filelock import FileLock, Timeout

from engine.errors import InvalidRequest, StorageFailed
from engine.paths import ensure
from engine.text_safety import plain

VERSION: Final = 1
MAX_BYTES: Final = 32 * 1024 * 1024
_PATIENCE: Final = 10.0
"""Seconds to wait for another process that is writing."""

_T = TypeVar("_T")
Stamp = tuple[int, int, int]


class Registry(Generic[_T]):
    """The table `table` of records of the type `kind` in the file `path`. Usable from any thread and process."""

    def __init__(self, path: Path, table: str, kind: type[_T]) -> None:
        self.path = path
        self._table, self._kind = table, kind
        self._lock = threading.Lock()
        self._seen: Stamp | None = None
        self._records: dict[str, _T] = {}
        self._broken: dict[str, str] = {}

    def all(self) -> Mapping[str, _T]:
        """Every sound record by name. Raises StorageFailed for a file that cannot be read."""
        with self._lock:
            self._refresh()
            return dict(self._records)

    def broken(self) -> Mapping[str, str]:
        """What is wrong with the records that cannot be used, by name, with line and column."""
        with self._lock:
            self._refresh()
            return dict(self._broken)

    def change(self, edit: Callable[[dict[str, _T]], None]) -> None:
        """Let `edit` change the sound records, and write them. What it raises leaves the file as it was.

        Raises StorageFailed, also for a file that is damaged: it is left as it is.
        """
        with self._lock, self._held():
            text = self._text()
            raw = self._raw(text)
            before, _ = self._decoded(text, raw)
            after = dict(before)
            edit(after)
            for name in before:
                if name not in after:
                    del raw[name]
            for name, record in after.items():
                if name not in before or before[name] is not record:
                    raw[name] = msgspec.Raw(msgspec.json.encode(record))
            self._write(raw)
            self._refresh()

    # --- reading

    def _refresh(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen and stamp is not None:
            return
        text = self._text()
        self._records, self._broken = self._decoded(text, self._raw(text))
        self._seen = stamp

    def _stamp(self) -> Stamp | None:
        try:
            facts = self.path.stat()
        except OSError:
            return None
        return facts.st_size, facts.st_mtime_ns, facts.st_ino

    def _text(self) -> bytes:
        try:
            if self.path.stat().st_size > MAX_BYTES:
                raise self._failed("It is larger than 32 MiB.")
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise self._failed(f"{error.strerror or error}.") from None

    def _raw(self, text: bytes) -> dict[str, msgspec.Raw]:
        """The records of a file, not yet read."""
        if not text.strip():
            return {}
        try:
            whole = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
            version = msgspec.json.decode(whole.get("version", b"1"), type=int)
            found = msgspec.json.decode(whole.get(self._table, b"{}"), type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            at = re.search(r"\(byte (\d+)\)", str(error))
            place = _place(text, int(at[1])) if at else "line 1, column 1"
            raise self._failed(f"{place}: {plain(str(error), 200)}.") from None
        if version > VERSION:
            raise self._failed(f"It has version {version}, and this Hearth knows version {VERSION}.")
        return {name: msgspec.Raw(bytes(record)) for name, record in found.items()}

    def _decoded(self, text: bytes, raw: Mapping[str, msgspec.Raw]) -> tuple[dict[str, _T], dict[str, str]]:
        records: dict[str, _T] = {}
        broken: dict[str, str] = {}
        for name, record in raw.items():
            try:
                records[name] = msgspec.json.decode(record, type=self._kind)
            except (msgspec.MsgspecError, RecursionError) as error:
                broken[plain(name, 120)] = f"{_of_record(text, name, str(error))}: {plain(str(error), 200)}."
        return records, broken

    def _failed(self, why: str) -> StorageFailed:
        return StorageFailed(
            f"{self.path.name} cannot be read.",
            f"{self.path}: {why}",
            "Mend it in an editor, or move it away; it is left as it is.",
        )

    # --- writing

    @contextmanager
    def _held(self) -> Iterator[None]:
        ensure(self.path.parent)
        lock = FileLock(f"{self.path}.lock", timeout=_PATIENCE)
        try:
            with lock:
                yield
        except Timeout:
            raise StorageFailed(
                f"{self.path.name} is being changed by another program.",
                f"It has held {self.path}.lock for {_PATIENCE:.0f} seconds.",
                "Try again.",
            ) from None

    def _write(self, raw: Mapping[str, msgspec.Raw]) -> None:
        whole = {"version": VERSION, self._table: dict(sorted(raw.items()))}
        text = msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"
        # A link, to a folder of dotfiles perhaps, stays one.
        target = Path(os.path.realpath(self.path))
        try:
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, target)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            raise StorageFailed(
                f"{self.path.name} cannot be written.",
                f"{error.strerror or error}.",
                f"Look after the rights and the free space of {target.parent}.",
            ) from None
        self._seen = None


_NAME: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)?(?::[A-Za-z0-9][A-Za-z0-9._-]*)?"
)
_LONGEST: Final = 120


def checked_name(name: str, what: str) -> str:
    """`name`, if it may be a record's. Raises InvalidRequest."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{plain(name, 80)!r} cannot be the name of {what}.",
            "A name has letters, digits, dots, dashes and underscores, and at most one slash and one colon.",
            "Choose another name.",
            param="name",
        )
    return name


def _of_record(text: bytes, name: str, problem: str) -> str:
    """Where the record `name` is, or the field of it that `problem` names."""
    key = re.search(re.escape(msgspec.json.encode(name)) + rb"\s*:", text)
    if key is None:
        return "line 1, column 1"
    at = key.start()
    path = re.search(r"`\$((?:\.[A-Za-z_]+)+)", problem)
    unknown = re.search(r"unknown field `([^`]+)`", problem)
    fields = (path[1].split(".")[1:] if path else []) + ([unknown[1]] if unknown else [])
    for field in fields:
        inner = text.find(msgspec.json.encode(field), at + 1)
        if inner < 0:
            break
        at = inner
    return _place(text, at)


def _place(text: bytes, at: int) -> str:
    before = text[:at]
    column = at - before.rfind(b"\n")
    line = before.count(b"\n") + 1
    return f"line {line}, column {column}"
