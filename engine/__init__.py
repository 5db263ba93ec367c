"""The engine room: one engine keeps models warm and serves every pane, dialect, job and eval at once.

Rooms above import from here, and from `engine.types`, `engine.errors`, `engine.settings` and `engine.paths`;
everything else is the engine's own. Importing this package is cheap: `LocalEngine` is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.face import Engine, Stream
from engine.sampling import resolve as resolve_sampling

if TYPE_CHECKING:
    from engine.local import LocalEngine

__all__ = ["Engine", "LocalEngine", "Stream", "resolve_sampling"]


def __getattr__(name: str) -> Any:
    if name == "LocalEngine":
        from engine.local import LocalEngine

        return LocalEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
