"""The web page's password, as a hash, and the sessions of those who signed in with it; in `server.db`.

A session goes by the SHA-256 of its secret, which the browser alone has. A new password ends every session, in all
processes at once: whoever serves looks here at each request.
"""

from __future__ import annotations

import time

from msgspec import Struct

from engine.store.server import ServerStore


class Session(Struct, frozen=True, kw_only=True):
    """Somebody who signed in. `csrf` is what their pages send along; times are Unix seconds."""

    hash: str
    csrf: str
    created: float
    seen: float


class WebStore:
    """The part of a `ServerStore` that the web page has. Calls raise StorageFailed."""

    def __init__(self, store: ServerStore) -> None:
        self._store = store

    def password(self) -> str | None:
        """The hash of the password; None where none is set."""
        rows = self._store.rows("SELECT hash FROM web_password")
        return str(rows[0][0]) if rows else None

    def set_password(self, hash: str | None) -> None:
        """Keep another password, or none: whoever is signed in is not any more."""
        statements: list[tuple[str, tuple[str | float, ...]]] = [
            ("DELETE FROM web_password", ()),
            ("DELETE FROM web_sessions", ()),
        ]
        if hash is not None:
            put = "INSERT INTO web_password (only_one, hash, changed) VALUES (1, ?, ?)"
            statements.append((put, (hash, time.time())))
        self._store.write(*statements)

    def rehash(self, old: str, new: str) -> None:
        """The same password with a stronger hash; sessions go on. Nothing happens if it was changed meanwhile."""
        self._store.write(("UPDATE web_password SET hash = ? WHERE hash = ?", (new, old)))

    def add(self, session: Session, password: str) -> None:
        """Keep a session that was opened with the password of that hash, unless it has been changed meanwhile."""
        put = (
            "INSERT INTO web_sessions (hash, csrf, created, seen)"
            " SELECT ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM web_password WHERE hash = ?)"
        )
        self._store.write((put, (session.hash, session.csrf, session.created, session.seen, password)))

    def session(self, hash: str) -> Session | None:
        """The session of that hash, one that has ended by its age too."""
        rows = self._store.rows("SELECT hash, csrf, created, seen FROM web_sessions WHERE hash = ?", (hash,))
        if not rows:
            return None
        hash, csrf, created, seen = rows[0]
        return Session(hash=hash, csrf=csrf, created=created, seen=seen)

    def seen(self, hash: str, moment: float) -> None:
        """Somebody of that session was here."""
        self._store.write(("UPDATE web_sessions SET seen = ? WHERE hash = ?", (moment, hash)), lasting=False)

    def end(self, hash: str) -> None:
        """Forget a session."""
        self._store.write(("DELETE FROM web_sessions WHERE hash = ?", (hash,)))

    def tidy(self, created: float, seen: float) -> None:
        """Forget sessions that are older than `created`, or were not seen since `seen`."""
        self._store.write(
            ("DELETE FROM web_sessions WHERE created < ? OR seen < ?", (created, seen)), lasting=False
        )
