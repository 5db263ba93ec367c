"""What models and adapters this machine has and what they need, known from headers alone.

Importing this package imports nothing: workers need its arithmetic and none of its folders. Each name is loaded when
first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.library.catalog import Catalog, Resolved
    from engine.library.gguf import Header, read_header

__all__ = ["Catalog", "Header", "Resolved", "read_header"]


def __getattr__(name: str) -> Any:
    if name in ("Catalog", "Resolved"):
        from engine.library import catalog

        return getattr(catalog, name)
    if name in ("Header", "read_header"):
        from engine.library import gguf

        return getattr(gguf, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
