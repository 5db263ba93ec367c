"""What models and adapters this machine has, known from headers alone."""

from __future__ import annotations

from engine.library.catalog import Catalog, Resolved
from engine.library.gguf import Header, read_header

__all__ = ["Catalog", "Header", "Resolved", "read_header"]
