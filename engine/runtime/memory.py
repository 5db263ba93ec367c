"""How much memory there is for models: what the system says, what its limits say, what the settings allow.

Mapped weights of resident models count as available to the system, which could throw them out; here they are taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from engine.library.pools import MAIN, pool_of
from engine.types import Device


class MainMemory(Struct, frozen=True):
    """Main memory in bytes: what could be had now without harming others, and what there is."""

    available: int
    total: int


class Held(Struct, frozen=True):
    """What one model takes or will have taken in bytes by pool; `mapped` of it in main memory is mapped weights."""

    sizes: Mapping[str, int]
    mapped: int = 0
    loading: bool = False
    """It has not taken it yet, or only in part."""


def free_for_models(
    main: MainMemory, devices: Iterable[Device], held: Iterable[Held], *, limit: int | None, margin: float
) -> dict[str, int]:
    """Bytes by pool that further models may take. Pure.

    `margin` is the share of the available memory that stays free; `limit` is for all models together in main memory.
    A model that is loading counts as if nothing of it were there yet. Pools of GPUs are as their driver said.
    """
    held = list(held)
    coming = [each.sizes for each in held if each.loading]
    mapped = sum(each.mapped for each in held if not each.loading)
    free = {MAIN: int(max(0, main.available - mapped) * (1 - margin))}
    for device in devices:
        pool = pool_of(device.name, device.kind)
        if pool != MAIN:
            free[pool] = int(device.free * (1 - margin))
    for sizes in coming:
        for pool, size in sizes.items():
            if pool in free:
                free[pool] -= size
    if limit is not None:
        free[MAIN] = min(free[MAIN], limit - sum(each.sizes.get(MAIN, 0) for each in held))
    return {pool: max(0, size) for pool, size in free.items()}


def main_memory(root: Path = Path("/")) -> MainMemory:
    """What the system says of main memory, within the limits of the control groups that this process is in."""
    import psutil

    memory = psutil.virtual_memory()
    available, total = int(memory.available), int(memory.total)
    for most, used in _groups(root):
        available, total = min(available, max(0, most - used)), min(total, most)
    return MainMemory(available, total)


def _groups(root: Path) -> list[tuple[int, int]]:
    """(limit, use without what the kernel can drop) of every control group of this process, versions 2 and 1."""
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            base = root / "sys/fs/cgroup"
            if controllers == "":
                names = ("memory.max", "memory.current", "inactive_file", "active_file")
            elif "memory" in controllers.split(","):
                base = base / "memory"
                names = (
                    "memory.limit_in_bytes",
                    "memory.usage_in_bytes",
                    "total_inactive_file",
                    "total_active_file",
                )
            else:
                continue
            folder = base / name.lstrip("/")
            # A container may see its own group as the root, whatever name the host gives it.
            for place in (folder, *folder.parents) if folder.is_dir() else (base,):
                if (group := _group(place, *names)) is not None:
                    found.append(group)
                if place == base:
                    break
    return found


def _group(folder: Path, limit: str, use: str, *droppable: str) -> tuple[int, int] | None:
    try:
        most = int((folder / limit).read_text())
        used = int((folder / use).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        # No limit ("max"), or the root, which has none.
        return None
    return most, used - sum(int(stat.get(name, 0)) for name in droppable)
