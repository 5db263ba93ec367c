"""API keys: random, shown once, kept as hashes in a file that several processes may write.

The file is JSON in the state folder, readable by its owner alone and replaced whole. A running server reads it
again when it has changed, so a key that was revoked at the command line is refused a moment later.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.errors import InvalidRequest, StorageFailed
from engine.paths import Paths, ensure

Scope = Literal["generate", "manage", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""generate: ask models and list them; manage: load, unload, pull, delete; admin: the engine's own routes too."""
PREFIX: Final = "hth_"
_BYTES: Final = 32
_STALE_S: Final = 0.5
"""How long what was read of the file is believed without looking at its date."""


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
        return not self.revoked and (self.expires is None or now < self.expires)


class Keyring:
    """The keys of one state folder."""

    def __init__(self, paths: Paths) -> None:
        self._folder, self._file = paths.state, paths.state / "keys.json"
        self._stamp: tuple[int, int, int] | None = None
        self._looked = -1.0
        self._by_hash: dict[str, Key] = {}

    def keys(self) -> list[Key]:
        """Every key, revoked ones too, the oldest first. Raises StorageFailed for a file that cannot be read."""
        return _read(self._file)

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
        with self._changing() as keys:
            if any(each.name == name and each.usable(now) for each in keys):
                raise InvalidRequest(
                    f"There is a key named {name!r} already.",
                    fix="Choose another name, or revoke it.",
                    param="name",
                )
            keys.append(key)
        return key, secret

    def revoke(self, name: str) -> Key:
        """Make the key of that name or id useless at once. Raises InvalidRequest if there is none."""
        with self._changing() as keys:
            for place, key in enumerate(keys):
                if name in (key.id, key.name) and not key.revoked:
                    keys[place] = replace(key, revoked=True)
                    return keys[place]
        raise InvalidRequest(f"There is no key {name!r}.", fix="`hearth keys list` shows them.", param="name")

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < _STALE_S:
            return
        self._looked = now
        try:
            facts = self._file.stat()
            stamp = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        except OSError:
            stamp = None
        if stamp != self._stamp or (stamp is None and self._by_hash):
            self._by_hash = {key.hash: key for key in _read(self._file)}
            self._stamp = stamp

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Key]]:
        """The keys as they are, alone; what the block leaves of the list is written."""
        ensure(self._folder)
        try:
            lock = os.open(
                self._folder / "keys.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except OSError as error:
            raise _failed(self._file, error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = _read(self._file)
            yield keys
            _write(self._file, keys)
        finally:
            os.close(lock)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(file: Path) -> list[Key]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Key])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _failed(file, error) from None


def _write(file: Path, keys: Sequence[Key]) -> None:
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(
            beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(keys)))
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    except OSError as error:
        raise _failed(file, error) from None


def _failed(file: Path, error: Exception) -> StorageFailed:
    return StorageFailed(
        f"The keys in {file} cannot be used.",
        f"{error}.",
        "Repair the file, or move it away and create keys anew.",
    )
