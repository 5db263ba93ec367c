"""Free space of the filesystems that Hearth's folders lie on, each once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from engine.types.hardware import DiskReading


def read_disks(folders: Mapping[str, Path]) -> tuple[DiskReading, ...]:
    """The filesystems of `folders` (what it holds: where), in their order; a folder that is not there yet counts
    where it would be made."""
    found: dict[int, DiskReading] = {}
    for holds, folder in folders.items():
        place = existing(folder)
        try:
            device = place.stat().st_dev
            space = os.statvfs(place)
        except OSError:
            continue
        known = found.get(device)
        found[device] = DiskReading(
            path=known.path if known is not None else str(place),
            holds=(*(known.holds if known is not None else ()), holds),
            total=space.f_frsize * space.f_blocks,
            free=space.f_frsize * space.f_bavail,
        )
    return tuple(found.values())


def existing(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that is there."""
    return next((place for place in (folder, *folder.parents) if place.is_dir()), folder)
