"""What becomes of a name that is to go: an alias, files that a client sent, or weights of the cache."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from engine.errors import ModelNotFound
from engine.text_safety import plain
from engine.types import ModelEntry

if TYPE_CHECKING:
    from api.answering.call import Call
    from api.dialects.listing import Listing


async def remove(call: Call, listing: Listing, name: str) -> None:
    """Delete an alias, and files that a client sent once no alias leads to them; or a model of the cache.

    The weights behind an alias stay: they may be other aliases' too, and are dear. Raises ModelNotFound, and as
    `Engine.delete_weights`.
    """
    engine = call.hub.engine
    listing.forget()
    found = await listing.find(name)
    key = name.lower().removesuffix(":latest")
    if any(each.name.lower() == key for each in await engine.aliases()):
        await engine.remove_alias(name)
        listing.forget()
        if found is not None:
            await let_go(call, listing, found.entry)
    elif found is not None and call.hub.uploads.owns(found.entry.path):
        await let_go(call, listing, found.entry)
    elif "/" not in name and all(each.id.lower() != key for each in await engine.models()):
        raise ModelNotFound(f"model '{plain(name, 80)}' not found", param="model")
    else:
        # A pull that was given up has files, and is no model.
        with contextlib.suppress(ModelNotFound):
            await engine.unload(name)
        await engine.delete_weights(name)
        listing.forget()


async def let_go(call: Call, listing: Listing, entry: ModelEntry) -> None:
    """Delete files that a client sent, once no alias leads to their model any more."""
    uploads = call.hub.uploads
    if not uploads.owns(entry.path):
        return
    if any(one.alias is not None and one.entry.path == entry.path for one in await listing.all()):
        return
    # Nothing may lead to it any more.
    with contextlib.suppress(ModelNotFound):
        await call.hub.engine.unload(entry.id)
    await asyncio.to_thread(uploads.remove, entry.path)
    listing.forget()
