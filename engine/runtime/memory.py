"""How much memory there is for models: what the system says, what its limits say, what the settings allow.

Mapped weights of resident models count as available to the system, which could throw them out; here they are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from engine.hardware.main_memory import MainMemory, main_memory
from engine.library.pools import MAIN, pool_of
from engine.types import Device

__all__ = ["Held", "MainMemory", "free_for_models", "main_memory"]


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
