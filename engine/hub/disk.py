"""What the disk of the cache refuses, in words for people."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import DiskFull, StorageFailed


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turns an error of the disk into one for people. Raises DiskFull, else StorageFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full(folder) from None
        raise StorageFailed(
            f"The model cache at {folder} cannot be read or written.",
            f"{error.strerror or error}.",
            "Make it writable, or move it with HF_HUB_CACHE or HF_HOME.",
        ) from None


def full(cache: Path, why: str = "It became full during the download.") -> DiskFull:
    """There is no room in the cache."""
    return DiskFull(
        f"The disk of the model cache at {cache} is full.",
        why,
        "Make room (`hearth cache scan` shows what takes it) and pull again: it goes on where it was.",
    )
