"""The limits of the control groups (versions 2 and 1) that this process is in: main memory and processor time.

A limit of a parent holds too, so every group up to the root is asked. Formats: the kernel's `cgroup-v2` and
`cgroup-v1` documents.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def memory_limits(root: Path = Path("/")) -> list[tuple[int, int]]:
    """(limit, use without what the kernel can drop) in bytes of every group that has a limit."""
    found = []
    for folder, version in _groups(root, "memory"):
        names = (
            ("memory.max", "memory.current", "inactive_file", "active_file")
            if version == 2
            else (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
                "total_active_file",
            )
        )
        if (limit := _memory_limit(folder, *names)) is not None:
            found.append(limit)
    return found


def cpu_limit(root: Path = Path("/")) -> float | None:
    """How many cores' worth of time the tightest group leaves; None without a limit."""
    found = []
    for folder, version in _groups(root, "cpu"):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            if version == 2:
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            # "max" in version 2, -1 in version 1.
            if (microseconds := int(quota)) > 0:
                found.append(microseconds / int(period))
    return min(found, default=None)


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """Folders of the groups that may limit `controller`, each with its version, the own one before its parents."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        base = root / "sys/fs/cgroup"
        if controllers == "":
            version = 2
        elif controller in controllers.split(","):
            base, version = base / controller, 1
        else:
            continue
        folder = base / name.lstrip("/")
        # A container may see its own group as the root, whatever name the host gives it.
        for place in (folder, *folder.parents) if folder.is_dir() else (base,):
            yield place, version
            if place == base:
                break


def _memory_limit(folder: Path, limit: str, use: str, *droppable: str) -> tuple[int, int] | None:
    try:
        most = int((folder / limit).read_text())
        used = int((folder / use).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        # No limit ("max"), or the root, which has none.
        return None
    return most, used - sum(int(stat.get(name, 0)) for name in droppable)
