"""Names of one's own: create, copy, delete; and push, which is refused."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, delete, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.codec import NDJSON
from api.answering.reply import Reply, as_json
from api.dialects.listing import Listing
from api.dialects.ollama import creating, removing
from api.errors import NotHere
from api.reading.keywords import OLLAMA
from engine.errors import ModelNotFound
from engine.text_safety import plain

_json = msgspec.json.Encoder()


@post("/api/create", status_code=200)
async def create(request: Request[Any, Any, Any]) -> ASGIApp:
    """Make an alias, of a model or of files that were sent; lines that say what was done."""
    call = await Call.of(request)
    listing: Listing = request.app.state["listing"]
    streams = call.fields.take("stream", bool) is not False
    told = await creating.create(call, listing)
    if not streams:
        return as_json({"status": "success"}, headers=call.notes())
    lines = b"".join(_json.encode({"status": each}) + b"\n" for each in told)
    return Reply(lines, media_type=NDJSON, headers=call.notes())


@post("/api/push", status_code=200)
async def push(request: Request[Any, Any, Any]) -> ASGIApp:
    """Raises NotHere: Hearth gives nothing away."""
    await Call.of(request)
    raise NotHere(
        "Hearth publishes no models.", "It has no account at a registry.", "Use the registry's own program."
    )


@post("/api/copy", status_code=200)
async def copy(request: Request[Any, Any, Any]) -> ASGIApp:
    """Keep an alias under another name too; a copy of a model is an alias of it. Raises ModelNotFound."""
    call = await Call.of(request)
    listing: Listing = request.app.state["listing"]
    source = call.fields.need("source", str)
    wanted = call.hub.model(source)
    destination = call.fields.need("destination", str)
    call.hub.model(destination)
    if await listing.find(wanted) is None:
        raise ModelNotFound(f'model "{plain(source, 80)}" not found', param="source")
    await call.hub.engine.copy_alias(wanted, destination)
    listing.forget()
    return Reply(b"", headers=call.notes())


@delete("/api/delete", status_code=200)
async def remove(request: Request[Any, Any, Any]) -> ASGIApp:
    """Delete an alias, and files that a client sent once no alias leads to them; or a model of the cache."""
    call = await Call.of(request)
    call.fields.known(OLLAMA)
    listing: Listing = request.app.state["listing"]
    await removing.remove(call, listing, call.hub.model(call.fields.take("model", str, "name")))
    return Reply(b"", headers=call.notes())


ROUTES = [create, push, copy, remove]
