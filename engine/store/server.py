"""What the server keeps: keys, and responses that clients may come back for; in `server.db` in the state folder.

The web page's password and sessions lie there too; `engine.store.web` knows them.

Several processes may have it open: the server, and commands that make and revoke keys. Reading a store that nobody
has written to creates nothing. Callable from any thread, one call at a time; each takes a millisecond or less.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

import msgspec
from msgspec import Struct

from engine.errors import StorageFailed
from engine.paths import Paths

if TYPE_CHECKING:
    from engine.store.sqlite import Database

_T = TypeVar("_T")
Scope = Literal["generate", "manage", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""generate: ask models and list them; manage: load, unload, pull, delete; admin: the engine's own routes too."""
MOST_RESPONSES: Final = 10_000
MOST_BYTES: Final = 2**30
"""Of all responses together."""
OLDEST_S: Final = 30 * 86_400.0
_MIGRATIONS: Final = (
    """
CREATE TABLE keys (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    revoked INTEGER NOT NULL DEFAULT 0,
    per_minute INTEGER,
    concurrent INTEGER
) STRICT;
CREATE TABLE responses (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created REAL NOT NULL,
    size INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;
""",
    """
CREATE TABLE web_password (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    hash TEXT NOT NULL,
    changed REAL NOT NULL
) STRICT;
CREATE TABLE web_sessions (
    hash TEXT PRIMARY KEY,
    csrf TEXT NOT NULL,
    created REAL NOT NULL,
    seen REAL NOT NULL
) STRICT, WITHOUT ROWID;
""",
)
_PUT: Final = (
    "INSERT INTO keys (id, name, hash, scopes, created, expires, revoked, per_minute, concurrent)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET revoked = excluded.revoked"
)
"""All that may change of a key is that it is revoked."""


class Key(Struct, frozen=True, kw_only=True):
    """What is kept of a key. `hash` is SHA-256 in hex; times are Unix seconds."""

    id: str
    name: str
    hash: str
    scopes: tuple[Scope, ...] = ("generate",)
    created: float = 0.0
    expires: float | None = None
    revoked: bool = False
    per_minute: int | None = None
    """Most requests in a minute; None: no limit."""
    concurrent: int | None = None
    """Most requests at once."""

    def usable(self, now: float) -> bool:
        """Whether it opens anything at `now`, Unix seconds."""
        return not self.revoked and (self.expires is None or now < self.expires)


class ServerStore:
    """The store of one state folder; opened at its first use. Calls raise StorageFailed."""

    def __init__(self, paths: Paths) -> None:
        self.path = paths.server_file
        self._database: Database | None = None
        self._lock = threading.Lock()
        self._written = 0

    def all_keys(self) -> list[Key]:
        """Every key, revoked ones too, the oldest first."""
        return self._read(lambda database: _keys(database), [])

    def change_keys(self, change: Callable[[list[Key]], list[Key]]) -> None:
        """Keep what `change` makes of the keys, on disk before it returns; nobody else changes them meanwhile."""
        with self._lock:
            database = self._opened()
            with database.writing() as connection:
                before = _keys(database)
                after = change(before)
                for key in after:
                    if key in before:
                        continue
                    connection.execute(_PUT, _row(key))

    def save_response(self, id: str, owner: str, record: bytes) -> None:
        """Keep a response; the oldest go when there are too many, or too much of them."""
        with self._lock:
            database = self._opened()
            # It survives the end of this process; after a power cut the last few may be gone.
            with database.writing(lasting=False) as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO responses (id, owner, created, size, record) VALUES (?, ?, ?, ?, ?)",
                    (id, owner, time.time(), len(record), record),
                )
                if self._written % 100 == 0:
                    _trim(connection.execute)
            self._written += 1

    def response(self, id: str) -> tuple[str, bytes] | None:
        """The owner and the record of a response; None if it is not kept."""
        nothing: list[tuple[Any, ...]] = []
        rows = self._read(
            lambda database: database.reading(
                "SELECT owner, record FROM responses WHERE id = ? AND created > ?",
                (id, time.time() - OLDEST_S),
            ),
            nothing,
        )
        return (str(rows[0][0]), bytes(rows[0][1])) if rows else None

    def forget_response(self, id: str) -> None:
        """Delete a response; one that is not kept is no error."""
        if self._is_there():
            with self._lock, self._opened().writing(lasting=False) as connection:
                connection.execute("DELETE FROM responses WHERE id = ?", (id,))

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a question; none where nothing has been kept yet."""
        nothing: list[tuple[Any, ...]] = []
        return self._read(lambda database: database.reading(sql, bindings), nothing)

    def write(self, *statements: tuple[str, Sequence[Any]], lasting: bool = True) -> None:
        """Carry statements out together. Not `lasting`: a power cut may undo them."""
        with self._lock, self._opened().writing(lasting=lasting) as connection:
            for sql, bindings in statements:
                connection.execute(sql, bindings)

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _read(self, work: Callable[[Database], _T], nothing: _T) -> _T:
        if not self._is_there():
            return nothing
        with self._lock:
            return work(self._opened())

    def _is_there(self) -> bool:
        return self._database is not None or self.path.exists() or _old(self.path).exists()

    def _opened(self) -> Database:
        if self._database is None:
            from engine.store.sqlite import Database

            # Without backups on purpose: a copy of before a revocation would make the key good again.
            self._database = Database.open(self.path, migrations=_MIGRATIONS)
            _take_over(self._database, _old(self.path))
        return self._database


def _keys(database: Database) -> list[Key]:
    rows = database.reading(
        "SELECT id, name, hash, scopes, created, expires, revoked, per_minute, concurrent FROM keys ORDER BY place"
    )
    return [
        Key(
            id=id, name=name, hash=hash_, scopes=tuple(json.loads(scopes)), created=created, expires=expires,
            revoked=bool(revoked), per_minute=per_minute, concurrent=concurrent,
        )
        for id, name, hash_, scopes, created, expires, revoked, per_minute, concurrent in rows
    ]  # fmt: skip


def _row(key: Key) -> tuple[str | float | int | None, ...]:
    scopes, revoked = json.dumps(key.scopes), int(key.revoked)
    return (
        key.id, key.name, key.hash, scopes, key.created, key.expires, revoked, key.per_minute, key.concurrent,
    )  # fmt: skip


def _trim(execute: Callable[..., object]) -> None:
    execute("DELETE FROM responses WHERE created < ?", (time.time() - OLDEST_S,))
    execute(
        "DELETE FROM responses WHERE place IN (SELECT place FROM ("
        " SELECT place, row_number() OVER newest AS number, sum(size) OVER newest AS total FROM responses"
        " WINDOW newest AS (ORDER BY place DESC)) WHERE number > ? OR total > ?)",
        (MOST_RESPONSES, MOST_BYTES),
    )


def _old(path: Path) -> Path:
    """Where keys were kept before there was a database."""
    return path.with_name("keys.json")


def _take_over(database: Database, file: Path) -> None:
    """Bring keys of an earlier Hearth in, once."""
    try:
        keys = msgspec.json.decode(file.read_bytes(), type=list[Key])
    except FileNotFoundError:
        return
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StorageFailed(
            f"The keys in {file} cannot be taken over.",
            f"{error}.",
            "Repair the file, or move it away and create keys anew.",
        ) from None
    with database.writing() as connection:
        for key in keys:
            connection.execute(_PUT, _row(key))
    file.replace(file.with_name("keys.json.taken-over"))
