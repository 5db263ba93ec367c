"""A file or folder that looks like a model, with what the place where it lies says of it beside its header."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from engine.types import Alias


class Found(Struct, frozen=True, kw_only=True):
    """`source` and `name` are as in `ModelEntry`; the catalog finds another name where this one is taken."""

    path: Path
    source: str
    name: str
    also: tuple[str, ...] = ()
    """Further names of the very same model."""
    key: str = ""
    """Two of the same key are the same model; empty: two of the same file are."""
    problem: str = ""
    """Why it cannot be used, known before its file is read."""
    projector: Path | None = None
    adapters: tuple[Path, ...] = ()
    """Laid over it wherever nobody names others."""
    own: Alias | None = None
    """What it answers with where neither a request nor an alias of the user's says anything."""
    licence: str = ""
    template: bool = False
    """Whether a prompt template comes with it that Hearth cannot run."""
    removal: str = ""
    """How the program that keeps it deletes it."""
