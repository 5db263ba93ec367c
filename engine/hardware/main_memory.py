"""Main memory and swap: what the system says, within the limits of control groups."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from engine.hardware.control_groups import memory_limits
from engine.types.hardware import MemoryReading


class MainMemory(Struct, frozen=True):
    """Main memory in bytes: what could be had now without harming others, and what there is."""

    available: int
    total: int


def main_memory(root: Path = Path("/")) -> MainMemory:
    """What the system says of main memory, within the limits of the control groups that this process is in."""
    import psutil

    memory = psutil.virtual_memory()
    available, total = int(memory.available), int(memory.total)
    for most, used in memory_limits(root):
        available, total = min(available, max(0, most - used)), min(total, most)
    return MainMemory(available, total)


def read_memory(root: Path = Path("/")) -> MemoryReading:
    """The same as a reading, with swap."""
    import psutil

    within = main_memory(root)
    machine = int(psutil.virtual_memory().total)
    try:
        swap = psutil.swap_memory()
        swap_total, swap_used = int(swap.total), int(swap.used)
    except (OSError, RuntimeError):
        # Containers may hide what psutil reads it from.
        swap_total = swap_used = 0
    return MemoryReading(
        total=within.total,
        available=within.available,
        limit=within.total if within.total < machine else None,
        swap_total=swap_total,
        swap_used=swap_used,
    )
