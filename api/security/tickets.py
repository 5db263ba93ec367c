"""Tickets for WebSockets: a page in a browser sends no header with a handshake, so it fetches one with its key first.

A ticket opens one socket, within half a minute, as the caller who fetched it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Final

from api.errors import RateLimited, Unauthorized

if TYPE_CHECKING:
    from api.security.credentials import Principal

LIFETIME_S: Final = 30.0
MOST: Final = 1024
"""Tickets that may be out at once."""


class Tickets:
    """Those of one server; only their hashes are kept. On the server's loop alone."""

    def __init__(self) -> None:
        self._out: dict[str, tuple[Principal, float]] = {}

    def give(self, principal: Principal) -> str:
        """A new one for `principal`. Raises RateLimited."""
        now = time.monotonic()
        self._out = {hash: each for hash, each in self._out.items() if each[1] > now}
        if len(self._out) >= MOST:
            raise RateLimited(
                "Too many tickets are out.", fix="Use them, or wait a moment.", retry_after_s=1.0
            )
        ticket = secrets.token_urlsafe(32)
        self._out[_hash(ticket)] = principal, now + LIFETIME_S
        return ticket

    def take(self, ticket: str) -> Principal:
        """Whose ticket it is; it is of no use afterwards. Raises Unauthorized."""
        principal, until = self._out.pop(_hash(ticket), (None, 0.0))
        if principal is None or until <= time.monotonic():
            raise Unauthorized(
                "This ticket is not valid.",
                "It was used, or has expired.",
                "Fetch another with POST /ws/ticket.",
            )
        return principal


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
