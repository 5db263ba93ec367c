"""How much memory MLX may take in this process: bounds from the settings, Metal's own word where they say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from engine.runtime.backends.library_settings import LibrarySettings

_RECOMMENDED = "max_recommended_working_set_size"
"""What Metal says may be wired on this machine; a larger limit is an error there (`mlx.core.set_wired_limit`)."""


class Bounds(Struct, frozen=True, kw_only=True):
    """Bytes for `set_memory_limit`, `set_cache_limit` and `set_wired_limit` of MLX; None leaves one as it is."""

    memory: int | None = None
    cache: int | None = None
    wired: int | None = None


def bounds(settings: LibrarySettings, device: Mapping[str, Any], *, metal: bool) -> Bounds:
    """The bounds on a machine of which MLX says `device` (`mlx.core.device_info`). Only Metal wires memory."""
    wired = None
    if metal:
        most = int(device.get(_RECOMMENDED, 0))
        wired = most if settings.mlx_wired_limit is None else min(most, settings.mlx_wired_limit)
    return Bounds(memory=settings.mlx_memory_limit, cache=settings.mlx_cache_limit, wired=wired)


def bound(settings: LibrarySettings) -> None:
    """Hold MLX to the settings, in this process, from now on."""
    import mlx.core as mx

    found = bounds(settings, mx.device_info(), metal=mx.metal.is_available())
    if found.memory is not None:
        mx.set_memory_limit(found.memory)
    if found.cache is not None:
        mx.set_cache_limit(found.cache)
    if found.wired:
        mx.set_wired_limit(found.wired)
