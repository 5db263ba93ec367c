"""`/api/blobs/{digest}`: whether a file is here, and sending one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, route
from litestar.types import ASGIApp

from api.answering.reply import Reply
from engine.errors import InvalidRequest

if TYPE_CHECKING:
    from api.hub import Hub


@route("/api/blobs/{digest:str}", http_method=["HEAD", "POST"], status_code=200)
async def blob(request: Request[Any, Any, Any]) -> ASGIApp:
    """A file by its SHA-256: HEAD asks whether it is here, POST sends it, 201 once it is kept.

    Raises InvalidRequest for what is no digest, or for bytes of another one.
    """
    hub: Hub = request.app.state["hub"]
    digest: str = request.path_params["digest"]
    there = await hub.uploads.has(digest)
    if request.method == "HEAD":
        return Reply(b"", status=200 if there else 404)
    if there:
        return Reply(b"")
    said = request.headers.get("content-length", "")
    if request.headers.get("content-encoding", "identity") not in ("", "identity"):
        raise InvalidRequest("A file is sent as it is.", "It is encoded.", param="content-encoding")
    length = int(said) if said.isascii() and said.isdigit() and len(said) < 19 else None
    await hub.uploads.receive(digest, request.stream(), length)
    return Reply(b"", status=201)


ROUTES = [blob]
