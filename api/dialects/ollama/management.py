"""Names for models and files of one's own: create, copy, push, blobs.

The engine has no calls for these yet, so each is refused in words; nothing is answered as if it had been done.
"""

from __future__ import annotations

import re
from typing import Any, Final

from litestar import Request, post, route
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import Reply
from api.dialects.listing import Listing
from api.errors import NotHere
from engine.errors import InvalidRequest, ModelNotFound

_DIGEST: Final = re.compile(r"sha256[:-][0-9a-f]{64}")


@post("/api/create", status_code=200)
async def create(request: Request[Any, Any, Any]) -> ASGIApp:
    """Raises NotHere."""
    call = await Call.of(request)
    call.hub.model(call.fields.any("model") or call.fields.any("name"))
    raise NotHere(
        "Models cannot be created over HTTP yet.",
        "The engine has no names of your own for models yet.",
        "Send system prompt and options with each request, or put the file into a folder of models.folders.",
    )


@post("/api/push", status_code=200)
async def push(request: Request[Any, Any, Any]) -> ASGIApp:
    """Raises NotHere: Hearth gives nothing away."""
    await Call.of(request)
    raise NotHere(
        "Hearth publishes no models.", "It has no account at a registry.", "Use the registry's own program."
    )


@post("/api/copy", status_code=200)
async def copy(request: Request[Any, Any, Any]) -> ASGIApp:
    """Raises ModelNotFound for an unknown source, else NotHere."""
    call = await Call.of(request)
    source = call.fields.need("source", str)
    call.hub.model(call.fields.need("destination", str))
    await _known(request, call, source)
    raise NotHere("Models cannot be given further names over HTTP yet.")


@route("/api/blobs/{digest:str}", http_method=["HEAD", "POST"], status_code=200)
async def blob(request: Request[Any, Any, Any]) -> ASGIApp:
    """A HEAD finds nothing; a POST is refused. Raises InvalidRequest for what is no digest, NotHere."""
    if not _DIGEST.fullmatch(request.path_params["digest"]):
        raise InvalidRequest("invalid digest format", param="digest")
    if request.method == "HEAD":
        return Reply(b"", status=404)
    raise NotHere("Files cannot be uploaded yet.", fix="Put the file into a folder of models.folders.")


async def _known(request: Request[Any, Any, Any], call: Call, name: Any) -> None:
    listing: Listing = request.app.state["listing"]
    wanted = call.hub.model(name)
    if await listing.find(wanted) is None:
        raise ModelNotFound(f"model '{wanted}' not found", param="model")
