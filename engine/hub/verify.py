"""Holds the files of the cache against their names, which say their content: SHA-256, or git's SHA-1 of a small file.

Disk work that takes long: not for an event loop, and it looks now and again whether it is still wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.errors import ModelNotFound
from engine.hub.disk import explained
from engine.hub.layout import Layout
from engine.hub.partial import PIECE, Whole
from engine.hub.reference import Reference
from engine.text_safety import plain
from engine.types import Verified

_NAME: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def verify(cache: Path, reference: Reference, wanted: Callable[[], bool] = lambda: True) -> Verified:
    """Read every file of a repository and say which are not what their names say.

    Raises ModelNotFound for one that is not in the cache, StorageFailed. Ends early once it is not `wanted`.
    """
    layout = Layout(cache, reference)
    names: dict[str, str] = {}
    with explained(cache):
        for path in layout.folder.glob("snapshots/*/**/*"):
            if path.is_symlink():
                names.setdefault(path.resolve().name, path.name)
        blobs = sorted(path for path in layout.blobs.glob("*") if _NAME.fullmatch(path.name))
        if not blobs:
            raise ModelNotFound(
                f"{reference.repository} is not in the cache.",
                fix="`hearth cache scan` lists what is.",
                param="model",
            )
        size, damaged = 0, []
        for blob in blobs:
            if not wanted():
                break
            size += blob.stat().st_size
            if not _is_right(blob, wanted):
                damaged.append(plain(names.get(blob.name, blob.name), 120))
    return Verified(id=reference.repository, files=len(blobs), size=size, damaged=tuple(damaged))


def _is_right(blob: Path, wanted: Callable[[], bool]) -> bool:
    whole = Whole(blob.name, blob.stat().st_size)
    with blob.open("rb") as file:
        while wanted() and (data := file.read(PIECE)):
            whole.update(data)
    return whole.right or not wanted()
