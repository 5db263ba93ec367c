"""What of the settings a library has to be told before it is imported or loads; it travels with the order to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from engine.settings import Settings


class LibrarySettings(Struct, frozen=True, kw_only=True):
    """Sizes in bytes; None leaves it to the library. What each means is said by `engine.settings.schema`."""

    trust_remote_code: tuple[str, ...] = ()
    mps_fallback: bool = True
    mps_high_watermark: float | None = None
    mps_low_watermark: float | None = None
    mlx_memory_limit: int | None = None
    mlx_cache_limit: int | None = None
    mlx_wired_limit: int | None = None


def library_settings(settings: Settings) -> LibrarySettings:
    """What of the settings travels to a library with the order to load."""
    runtime = settings.runtime
    return LibrarySettings(
        trust_remote_code=settings.hub.trust_remote_code,
        mps_fallback=runtime.mps_fallback,
        mps_high_watermark=runtime.mps_high_watermark,
        mps_low_watermark=runtime.mps_low_watermark,
        mlx_memory_limit=runtime.mlx_memory_limit,
        mlx_cache_limit=runtime.mlx_cache_limit,
        mlx_wired_limit=runtime.mlx_wired_limit,
    )
