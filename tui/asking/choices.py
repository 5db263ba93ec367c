"""What can be asked: the models, and beside them the aliases as if they were models of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.errors import HearthError
from engine.types import ModelEntry
from tui.asking.adapters import without_adapter

if TYPE_CHECKING:
    from engine import Engine

ALIAS = "alias"
"""The `source` of the entry of an alias."""


async def choices(engine: Engine) -> list[ModelEntry]:
    """The models, then the aliases that can be used: each the entry of its model under its own name.

    An alias of a model that is not listed (a path, a scripted one) has an entry that says no more than that. Raises
    HearthError only where the models cannot be listed: aliases that cannot be read are said where they are kept.
    """
    entries = await engine.models()
    try:
        named = await engine.aliases()
    except HearthError:
        return entries
    known = {entry.id.lower(): entry for entry in entries}
    found = []
    for each in named:
        if each.alias is None:
            continue
        model = each.alias.model
        entry = known.get(without_adapter(model.lower(), known))
        if entry is None:
            entry = ModelEntry(id=model, path=model, format="gguf", source=ALIAS)
        elif entry.broken:
            continue
        found.append(replace(entry, id=each.name, source=ALIAS))
    return [*entries, *found]
