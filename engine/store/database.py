"""The metrics file: opening it, mending it, writing and reading rows. For one thread, that of `metrics`; further ones
may read, each with a cursor of its own that can do nothing else.

The file is disposable. What is damaged is moved aside (first the write-ahead log, then the file) and begun
anew; a file that another process holds is left alone. Facts about DuckDB behind this: a second process cannot
open a file that is being written, not even for reading; one flipped byte in the log makes it refuse to open;
and rows written in bulk from lists cost a hundredth of single inserts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.paths import ensure
from engine.store.rows import COLUMNS, SAMPLES, SCHEMA_VERSION, TABLES, Row, values_of

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "256MB",
    "threads": "1",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    # No statement reaches a file but this one, whoever wrote it; and none can turn that off.
    "enable_external_access": "false",
    "max_temp_directory_size": "1GB",
    "lock_configuration": "true",
}
_CREATE = (
    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER)",
    "CREATE TABLE IF NOT EXISTS spooled_files (name VARCHAR)",
    *(
        f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
        for table, columns in COLUMNS.items()
    ),
)
_INSERT = {
    table: f"INSERT INTO {table} ({', '.join(columns)}) SELECT "
    + ", ".join(
        "make_timestamp(unnest(?::BIGINT[]))" if kind == "TIMESTAMP" else f"unnest(?::{kind}[])"
        for kind in columns.values()
    )
    for table, columns in COLUMNS.items()
}
_SHOWN = {
    table: ", ".join("epoch(time) AS time" if name == "time" else name for name in columns)
    for table, columns in COLUMNS.items()
}


_MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (),
    2: ("ALTER TABLE requests ADD COLUMN IF NOT EXISTS alias VARCHAR DEFAULT ''",),
}
"""What makes a file of one version one of the next; tables that are new there are made by `_CREATE`."""
_MEAN = {"DOUBLE": "avg({0})", "BIGINT": "round(avg({0}))::BIGINT", "VARCHAR": "max({0})"}


class Held(Exception):
    """Another process has the file open."""


class Unusable(Exception):
    """The file cannot be opened or written for a reason that is no damage, such as a full disk."""


class Database:
    """An open metrics file."""

    def __init__(self, path: Path) -> None:
        """Open or make the file at `path`. Raises Held and Unusable."""
        self.path = path
        self._connection = self._opened()
        self._readers: set[duckdb.DuckDBPyConnection] = set()
        self._left = threading.Condition()

    def begin_reading(self) -> duckdb.DuckDBPyConnection:
        """A cursor in a transaction that can write nothing, for any thread, which hands it to `end_reading`."""
        cursor = self._connection.cursor()
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        with self._left:
            self._readers.add(cursor)
        return cursor

    def end_reading(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Let go of a cursor."""
        import duckdb

        with contextlib.suppress(duckdb.Error):
            cursor.execute("ROLLBACK")
        cursor.close()
        with self._left:
            self._readers.discard(cursor)
            self._left.notify_all()

    def insert(self, rows: Sequence[Row], spooled: str | None = None) -> None:
        """Write `rows` in one transaction; those of the spool file `spooled` only once, ever."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            if spooled is not None:
                if connection.execute("SELECT 1 FROM spooled_files WHERE name = ?", [spooled]).fetchall():
                    connection.execute("COMMIT")
                    return
                connection.execute("INSERT INTO spooled_files VALUES (?)", [spooled])
            for table, kind in TABLES.items():
                if own := [row for row in rows if isinstance(row, kind)]:
                    connection.execute(_INSERT[table], values_of(table, own))
            connection.execute("COMMIT")
        except Exception:
            self._roll_back()
            raise
        _make_private(_wal(self.path))

    def recent(self, table: str, limit: int) -> list[dict[str, Any]]:
        """The newest rows of `table`, newest first."""
        cursor = self._connection.execute(
            f"SELECT {_SHOWN[table]} FROM {table} ORDER BY {table}.time DESC, rowid DESC LIMIT ?", [limit]
        )
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def series(self, table: str, since: float, step: float, by: str | None = None) -> list[dict[str, Any]]:
        """Means of `table` over every `step` seconds since `since` (Unix seconds), oldest first, for each `by` apart.

        `time` is where the step begins.
        """
        step = max(1.0, step)
        means = [
            f"{column if column == by else _MEAN[kind].format(column)} AS {column}"
            for column, kind in COLUMNS[table].items()
            if column != "time"
        ]
        groups = ", ".join(["step", *([by] if by else [])])
        cursor = self._connection.execute(
            f"SELECT floor(epoch({table}.time) / ?) * ? AS step, {', '.join(means)} FROM {table} "
            f"WHERE {table}.time >= make_timestamp(?::BIGINT) GROUP BY {groups} ORDER BY {groups}",
            [step, step, round(since * 1e6)],
        )
        names = ["time", *(column[0] for column in (cursor.description or ())[1:])]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def forget(self, before: float, *, samples: bool) -> None:
        """Drop rows of before `before` (Unix seconds): those of the machine, or all others."""
        for table, kind in TABLES.items():
            if (kind in SAMPLES) is samples:
                self._connection.execute(
                    f"DELETE FROM {table} WHERE {table}.time < make_timestamp(?::BIGINT)",
                    [round(before * 1e6)],
                )

    def count(self) -> int:
        """How many rows of requests there are."""
        return int(self._connection.execute("SELECT count(*) FROM requests").fetchall()[0][0])

    def forget_spooled(self, name: str) -> None:
        """The spool file `name` is gone: it need not be remembered."""
        self._connection.execute("DELETE FROM spooled_files WHERE name = ?", [name])

    def close(self) -> None:
        """Write the log into the file and let go of it; who reads is interrupted."""
        import duckdb

        self._send_readers_off()
        try:
            self._connection.execute("CHECKPOINT")
        except duckdb.Error as error:
            log.warning("The metrics file could not be checkpointed: %s", error)
        self._connection.close()

    def abandon(self) -> None:
        """Let go of a file that may be damaged; who reads is interrupted."""
        import duckdb

        # A cursor that is left would keep the file open, and a new connection would find what this one has.
        self._send_readers_off()
        try:
            self._connection.close()
        except duckdb.Error as error:
            log.warning("The metrics file closed with an error: %s", error)

    def _send_readers_off(self) -> None:
        with self._left:
            while self._readers:
                for cursor in self._readers:
                    cursor.interrupt()
                # Again and again: a cursor may have been between two statements.
                self._left.wait(0.1)

    def _roll_back(self) -> None:
        import duckdb

        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error as error:
            log.warning("A metrics transaction could not be rolled back: %s", error)

    def _opened(self) -> duckdb.DuckDBPyConnection:
        ensure(self.path.parent)
        for suspect in (_wal(self.path), self.path):
            try:
                return self._connected()
            except (Held, Unusable):
                raise
            except Exception as error:
                log.warning("The metrics file is damaged and is begun anew: %s", error)
                set_aside(suspect)
        return self._connected()

    def _connected(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        if not self.path.exists():
            # A log without its file belongs to nothing.
            set_aside(_wal(self.path))
        try:
            connection = duckdb.connect(str(self.path), config=_CONFIG)
        except duckdb.Error as error:
            raise _meaning(error) from error
        _make_private(self.path)
        try:
            for statement in _CREATE:
                connection.execute(statement)
            found = connection.execute("SELECT version FROM schema_version").fetchall()
            if not found:
                connection.execute("INSERT INTO schema_version VALUES (?)", [SCHEMA_VERSION])
            elif len(found) != 1:
                raise ValueError(f"its schema version is {found}")
            else:
                _migrate(connection, int(found[0][0]))
            for table, shown in _SHOWN.items():
                connection.execute(f"SELECT {shown} FROM {table} LIMIT 1").fetchall()
        except Exception as error:
            connection.close()
            raise _meaning(error) from error
        return connection


def _migrate(connection: duckdb.DuckDBPyConnection, version: int) -> None:
    """Bring a file of an earlier version to this one, all or nothing. Raises Unusable for one of a later version."""
    if version > SCHEMA_VERSION:
        raise Unusable(f"it was written by a newer Hearth (schema version {version})")
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN")
    for step in range(version, SCHEMA_VERSION):
        for statement in _MIGRATIONS[step]:
            connection.execute(statement)
    connection.execute("UPDATE schema_version SET version = ?", [SCHEMA_VERSION])
    connection.execute("COMMIT")


def set_aside(path: Path) -> None:
    """Rename what is damaged, so that somebody may look at it."""
    if path.exists():
        path.rename(path.with_name(f"{path.name}.damaged-{time.time_ns()}"))


def _meaning(error: Exception) -> Exception:
    """The error by what is to be done about it: Held, Unusable, or itself for damage."""
    text = str(error).lower()
    if "lock on file" in text or "conflicting lock" in text or "being used by another process" in text:
        return Held(str(error))
    signs = ("no space left", "permission denied", "read-only file system", "out of memory")
    if any(sign in text for sign in signs):
        return Unusable(str(error))
    return error


def is_damage(error: Exception) -> bool:
    """Whether `error` speaks of a damaged file, and not of a held one or a full disk."""
    return _meaning(error) is error


def _make_private(path: Path) -> None:
    if path.exists():
        os.chmod(path, 0o600)


def _wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")
