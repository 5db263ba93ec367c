"""Who signed in at the web page: sessions that the server keeps, known by a secret in a cookie.

The secret is made at the sign-in, whatever the browser brought along, and only its SHA-256 is kept. A session ends
twelve hours after its last request, seven days after its first, when somebody signs out, and with another password.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Final

from api.errors import Unauthorized
from api.security.lockout import Lockout
from api.security.passwords import Checker
from engine.store.web import Session, WebStore

COOKIE: Final = "hearth_session"
IDLE_S: Final = 12 * 3600.0
LONGEST_S: Final = 7 * 86_400.0
_BYTES: Final = 32
_SEEN_S: Final = 60.0
"""How often it is written down that somebody was here."""


class Sessions:
    """The sessions of one server; on its loop alone. `clock` gives Unix seconds. Calls raise StorageFailed."""

    def __init__(self, store: WebStore, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._lockout = Lockout()
        self._checker: Checker | None = None
        self._guessed = ""
        """The hash of the password that attempts were counted against."""

    @property
    def possible(self) -> bool:
        """Whether there is a password to sign in with."""
        return self._store.password() is not None

    async def sign_in(self, password: str, peer: str) -> tuple[str, Session]:
        """The secret and the session of somebody at the address `peer`. Raises Unauthorized, RateLimited."""
        known = self._store.password()
        if known is None:
            raise Unauthorized(
                "Nobody can sign in yet.", "No password is set.", "`hearth password set` sets one."
            )
        if known != self._guessed:
            self._lockout.forget()
            self._guessed = known
        self._lockout.begin(peer)
        self._checker = self._checker or Checker()
        if not await self._checker.matches(known, password):
            raise Unauthorized("That is not the password.")
        self._lockout.succeeded(peer)
        if (renewed := await self._checker.renewed(known, password)) is not None:
            self._store.rehash(known, renewed)
            known = self._guessed = renewed
        now = self._clock()
        secret = secrets.token_urlsafe(_BYTES)
        session = Session(hash=_hash(secret), csrf=secrets.token_urlsafe(_BYTES), created=now, seen=now)
        self._store.tidy(now - LONGEST_S, now - IDLE_S)
        self._store.add(session, known)
        return secret, session

    def find(self, secret: str) -> Session | None:
        """The session of that secret, if it has not ended; it is seen by that."""
        session = self._alive(_hash(secret))
        if session is not None and self._clock() - session.seen > _SEEN_S:
            self._store.seen(session.hash, self._clock())
        return session

    def lives(self, session: Session) -> bool:
        """Whether `session` has not ended."""
        return self._alive(session.hash) is not None

    def sign_out(self, session: Session) -> None:
        """End it."""
        self._store.end(session.hash)

    def _alive(self, hash: str) -> Session | None:
        session = self._store.session(hash)
        if session is None:
            return None
        now = self._clock()
        over = now - session.created > LONGEST_S or now - session.seen > IDLE_S
        return None if over else session


def secret_of(header: str) -> str:
    """The session's secret in a `Cookie` header; empty if there is none."""
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def cookie(secret: str, *, secure: bool) -> bytes:
    """The `Set-Cookie` header of a session; of none where `secret` is empty."""
    parts = [f"{COOKIE}={secret}", "Path=/", "HttpOnly", "SameSite=Strict"]
    parts.append(f"Max-Age={round(LONGEST_S) if secret else 0}")
    return "; ".join([*parts, "Secure"] if secure else parts).encode()


def same(said: str, known: str) -> bool:
    """Whether a page sent its session's own token."""
    return hmac.compare_digest(said.encode(), known.encode())


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
