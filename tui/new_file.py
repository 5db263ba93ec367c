"""Writes a file that was not there before."""

from __future__ import annotations

import os

from engine.errors import StorageFailed
from engine.text_safety import plain


def write_new(path: str, data: bytes) -> None:
    """Write a file that is not there yet, readable by its owner alone. Raises StorageFailed. For threads."""
    shown = plain(path, 60)
    try:
        descriptor = os.open(
            os.path.expanduser(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except FileExistsError:
        raise StorageFailed(f"{shown} exists already.", fix="Choose another name.") from None
    except OSError as error:
        raise StorageFailed(f"{shown} cannot be written.", f"{error.strerror or error}.") from None
