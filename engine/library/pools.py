"""Pools of memory that models compete for: main memory, and the memory of each GPU that has its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from engine.settings import show_size
from engine.types import DeviceNeed
from engine.types.models import DeviceKind

MAIN = "main memory"
_UNIFIED = ("Metal", "MTL")
"""Names of devices that call themselves GPUs and share main memory."""


def pool_of(device: str, kind: DeviceKind) -> str:
    """The pool that memory of `device` comes from: its own, or main memory, which integrated GPUs share."""
    return device if kind == "gpu" and not device.startswith(_UNIFIED) else MAIN


def demand(need: Sequence[DeviceNeed], resident: int) -> dict[str, int]:
    """Bytes by pool. `resident` is what the process takes of main memory, its part on the CPU included."""
    found = {MAIN: resident}
    for each in need:
        if each.kind not in ("cpu", "accelerator"):
            pool = pool_of(each.device, each.kind)
            found[pool] = found.get(pool, 0) + each.total
    return found


def missing(wanted: Mapping[str, int], free: Mapping[str, int]) -> dict[str, int]:
    """Bytes that each pool is short of `wanted`; empty if all fits. A pool that `free` does not name is boundless."""
    short = {pool: size - free[pool] for pool, size in wanted.items() if pool in free}
    return {pool: size for pool, size in short.items() if size > 0}


def joined_needs(*needs: Sequence[DeviceNeed]) -> tuple[DeviceNeed, ...]:
    """What several models in one process need, or have, device by device."""
    found: dict[str, DeviceNeed] = {}
    for each in (each for need in needs for each in need):
        known = found.get(each.device)
        if known is not None:
            parts = ("weights", "kv_cache", "compute", "projector")
            each = replace(known, **{name: getattr(known, name) + getattr(each, name) for name in parts})
        found[each.device] = each
    return tuple(found.values())


def joined(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Bytes of both, pool by pool."""
    return {pool: one.get(pool, 0) + other.get(pool, 0) for pool in {**one, **other}}


def show(sizes: Mapping[str, int]) -> str:
    """`3.1 GiB of main memory and 7.2 GiB of CUDA0`."""
    return " and ".join(f"{show_size(size)} of {pool}" for pool, size in sizes.items())
