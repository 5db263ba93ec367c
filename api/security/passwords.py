"""The web page's password: how it is hashed, and what may be one.

Argon2id with the second set of RFC 9106 (64 MiB, three passes, four lanes): about an eighth of a second on two cores,
which is meant. Only two are computed at once, whoever asks: each takes its 64 MiB.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from engine.errors import InvalidRequest
from engine.paths import Paths
from engine.store.server import ServerStore
from engine.store.web import WebStore

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST: Final = 12
LONGEST: Final = 1024
AT_ONCE: Final = 2


def hashed(password: str) -> str:
    """The hash under which `password` is kept. Raises InvalidRequest for one that may not be."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequest(
            "That is no password that Hearth takes.",
            f"It has {len(password):,} characters; from {SHORTEST} to {LONGEST:,} are good.",
            "A sentence of a few words is long enough, and easy to keep in mind.",
            param="password",
        )
    return _hasher().hash(password)


class WebPassword:
    """The password of one state folder, for commands that set it. Calls raise StorageFailed."""

    def __init__(self, paths: Paths) -> None:
        self._kept = ServerStore(paths)
        self._store = WebStore(self._kept)

    @property
    def is_set(self) -> bool:
        return self._store.password() is not None

    def set(self, password: str) -> None:
        """Make `password` the one that counts; everybody who is signed in has to do so anew. Raises InvalidRequest."""
        self._store.set_password(hashed(password))

    def remove(self) -> bool:
        """Let nobody sign in any more; whether anybody could before."""
        was_set = self.is_set
        if was_set:
            self._store.set_password(None)
        return was_set

    def close(self) -> None:
        """Let go of the file."""
        self._kept.close()


class Checker:
    """Compares passwords with their hash on other threads, few at once. On one event loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def matches(self, hash: str, password: str) -> bool:
        """Whether `password` is that of `hash`; one of an impossible length is none, at once."""
        if not SHORTEST <= len(password) <= LONGEST:
            return False
        async with self._turns:
            return await asyncio.to_thread(_matches, hash, password)

    async def renewed(self, hash: str, password: str) -> str | None:
        """A hash of today's strength where `hash` is weaker."""
        if not _hasher().check_needs_rehash(hash):
            return None
        async with self._turns:
            return await asyncio.to_thread(_hasher().hash, password)


def _matches(hash: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
