"""API keys: random, shown once, kept as hashes in a database that several processes may write.

A running server looks at them again twice a second, so a key that was revoked at the command line is refused a moment
later.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from engine.errors import InvalidRequest
from engine.paths import Paths
from engine.store.server import SCOPES, Key, Scope, ServerStore

__all__ = ["PREFIX", "SCOPES", "Key", "Keyring", "Scope"]

PREFIX: Final = "hth_"
_BYTES: Final = 32
_STALE_S: Final = 0.5
"""How long what was read is believed."""


class Keyring:
    """The keys of one state folder, or those in `store`. Calls raise StorageFailed."""

    def __init__(self, paths: Paths, store: ServerStore | None = None) -> None:
        self._store = store if store is not None else ServerStore(paths)
        self._looked = -1.0
        self._by_hash: dict[str, Key] = {}

    def keys(self) -> list[Key]:
        """Every key, revoked ones too, the oldest first."""
        return self._store.all_keys()

    def any(self) -> bool:
        """Whether there is a key that could be used now."""
        return any(key.usable(time.time()) for key in self.keys())

    def check(self, secret: str) -> Key | None:
        """The usable key that `secret` is; None if it is none."""
        self._refresh()
        digest = _hash(secret)
        key = self._by_hash.get(digest)
        if key is None or not hmac.compare_digest(key.hash, digest) or not key.usable(time.time()):
            return None
        return key

    def knows(self, digest: str) -> bool:
        """Whether the key of that hash may still be used."""
        self._refresh()
        key = self._by_hash.get(digest)
        return key is not None and key.usable(time.time())

    def create(
        self,
        name: str,
        scopes: Sequence[Scope] = ("generate",),
        *,
        lifetime: float | None = None,
        per_minute: int | None = None,
        concurrent: int | None = None,
    ) -> tuple[Key, str]:
        """A new key and its secret, which is not kept. `lifetime` in seconds. Raises InvalidRequest, StorageFailed."""
        if not scopes or any(scope not in SCOPES for scope in scopes):
            raise InvalidRequest(
                f"There is no such scope among {', '.join(scopes) or 'none'}.",
                fix=f"Scopes are {', '.join(SCOPES)}.",
                param="scopes",
            )
        secret = PREFIX + secrets.token_urlsafe(_BYTES)
        now = time.time()
        key = Key(
            id=secrets.token_hex(4),
            name=name,
            hash=_hash(secret),
            scopes=tuple(scopes),
            created=now,
            expires=None if lifetime is None else now + lifetime,
            per_minute=per_minute,
            concurrent=concurrent,
        )

        def added(keys: list[Key]) -> list[Key]:
            if any(each.name == name and each.usable(now) for each in keys):
                raise InvalidRequest(
                    f"There is a key named {name!r} already.",
                    fix="Choose another name, or revoke it.",
                    param="name",
                )
            return [*keys, key]

        self._store.change_keys(added)
        return key, secret

    def revoke(self, name: str) -> Key:
        """Make the key of that name or id useless at once. Raises InvalidRequest if there is none."""
        found: list[Key] = []

        def revoked(keys: list[Key]) -> list[Key]:
            for place, key in enumerate(keys):
                if name in (key.id, key.name) and not key.revoked:
                    found.append(replace(key, revoked=True))
                    return [*keys[:place], found[0], *keys[place + 1 :]]
            raise InvalidRequest(
                f"There is no key {name!r}.", fix="`hearth keys list` shows them.", param="name"
            )

        self._store.change_keys(revoked)
        return found[0]

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        self._store.close()

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < _STALE_S:
            return
        self._by_hash = {key.hash: key for key in self._store.all_keys()}
        self._looked = now


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
