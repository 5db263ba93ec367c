"""The token by which this user's own programs may do everything on a running server: a private file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from engine.errors import StorageFailed
from engine.paths import Paths, ensure


def token_file(paths: Paths) -> Path:
    """Where the running server's token lies."""
    return paths.runtime / "token"


def publish(paths: Paths, token: str) -> None:
    """Write `token`, readable by this user alone. Raises StorageFailed."""
    file = token_file(paths)
    beside = file.with_name(f".token.{os.getpid()}")
    ensure(file.parent)
    try:
        descriptor = os.open(
            beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "w") as out:
            out.write(token)
        beside.replace(file)
    except OSError as error:
        raise StorageFailed(f"{file} cannot be written.", f"{error.strerror or error}.") from None


def withdraw(paths: Paths, token: str) -> None:
    """Remove the file if it holds `token` still."""
    file = token_file(paths)
    with contextlib.suppress(OSError):
        if file.read_text() == token:
            file.unlink()


def read(paths: Paths) -> str | None:
    """The token of the server that runs for this user; None if there is none."""
    try:
        return token_file(paths).read_text().strip() or None
    except OSError:
        return None
