"""Rows of processes that do not own the metrics file: small msgpack files that the owner takes in later."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.paths import ensure
from engine.store.rows import ModelEventRow, RequestRow, Row
from engine.types import MetricsRecord

log = logging.getLogger(__name__)

SUFFIX = ".msgpack"
MAX_BYTES = 64 * 1024 * 1024


class _File(Struct):
    """What a row file holds."""

    requests: list[RequestRow] = []
    model_events: list[ModelEventRow] = []
    records: list[MetricsRecord] = []


class Spool:
    """A folder of row files. A file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, rows: Sequence[Row]) -> None:
        """One file of `rows`. Raises OSError or StorageFailed."""
        ensure(self.folder)
        path = self.folder / f"{time.time_ns()}-{os.getpid()}{SUFFIX}"
        unfinished = path.with_suffix(".part")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(
                msgspec.msgpack.encode(
                    _File(
                        [row for row in rows if isinstance(row, RequestRow)],
                        [row for row in rows if isinstance(row, ModelEventRow)],
                        [row for row in rows if isinstance(row, MetricsRecord)],
                    )
                )
            )
        unfinished.rename(path)

    def files(self) -> Iterator[tuple[Path, list[Row]]]:
        """The files with their rows, oldest first; a damaged one is set aside."""
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                if path.stat().st_size > MAX_BYTES:
                    raise ValueError("it is too large")
                # Earlier versions wrote a bare list of requests.
                found = msgspec.msgpack.decode(path.read_bytes(), type=_File | list[RequestRow])
                if isinstance(found, _File):
                    yield path, [*found.requests, *found.model_events, *found.records]
                else:
                    yield path, [*found]
            except (msgspec.MsgspecError, ValueError) as error:
                log.warning("The spool file %s is damaged and is left aside: %s", path.name, error)
                path.rename(path.with_suffix(".damaged"))
            except FileNotFoundError:
                continue
