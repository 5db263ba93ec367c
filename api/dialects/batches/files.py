"""`/v1/files`: what clients give for batches, and what batches give back."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, delete, get, post
from litestar.datastructures import UploadFile
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import Reply, as_json
from api.dialects.jobs.owners import owner_of, sees
from api.reading.fields import Fields
from engine.errors import InvalidRequest
from engine.text_safety import plain
from engine.types import KeptFile

if TYPE_CHECKING:
    from api.hub import Hub

PURPOSES: Final = ("batch", "assistants", "fine-tune", "vision", "user_data", "evals")
_MOST: Final = 10_000
_FILE: Final = "/v1/files/{file:str}"


@post("/v1/files", status_code=200)
async def upload(request: Request[Any, Any, Any]) -> ASGIApp:
    """Keep the file of a multipart form."""
    call = _call(request)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InvalidRequest("A file comes as a multipart form.", "With the fields `file` and `purpose`.")
    form = await request.form()
    file, purpose = form.get("file"), form.get("purpose")
    if not isinstance(file, UploadFile):
        raise InvalidRequest("file is required", "As a part of the form that has a file name.", param="file")
    if purpose not in PURPOSES:
        raise InvalidRequest(
            "`purpose` is none of those.", f"They are {', '.join(PURPOSES)}.", param="purpose"
        )
    kept = await call.hub.engine.jobs.keep_file(
        KeptFile(
            id=f"file-{secrets.token_hex(12)}",
            name=plain(file.filename, 200) or "file",
            purpose=purpose,
            owner=owner_of(call.principal),
        ),
        await file.read(),
    )
    return as_json(shown(kept))


@get("/v1/files", status_code=200)
async def listed(request: Request[Any, Any, Any]) -> ASGIApp:
    """The caller's files, the newest first."""
    call, params = _call(request), request.query_params
    limit = page_size(params.get("limit"), 10_000, _MOST)
    found = await call.hub.engine.jobs.files(
        sees(call.principal), purpose=params.get("purpose"), before=params.get("after"), limit=limit + 1
    )
    if params.get("order") == "asc":
        found = found[:limit][::-1] + found[limit:]
    return as_json(paged([shown(each) for each in found], limit))


@get(_FILE, status_code=200)
async def fetch(request: Request[Any, Any, Any]) -> ASGIApp:
    """What is known of a file."""
    call = _call(request)
    return as_json(shown(await call.hub.engine.jobs.file(request.path_params["file"], sees(call.principal))))


@get(f"{_FILE}/content", status_code=200)
async def content(request: Request[Any, Any, Any]) -> ASGIApp:
    """Its bytes."""
    call = _call(request)
    data = await call.hub.engine.jobs.read_file(request.path_params["file"], sees(call.principal))
    return Reply(data, media_type=b"application/octet-stream")


@delete(_FILE, status_code=200)
async def drop(request: Request[Any, Any, Any]) -> ASGIApp:
    """Delete a file."""
    call, id = _call(request), request.path_params["file"]
    await call.hub.engine.jobs.drop_file(id, sees(call.principal))
    return as_json({"id": id, "object": "file", "deleted": True})


def shown(file: KeptFile) -> dict[str, Any]:
    """A file as the protocol has it."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": int(file.created),
        "expires_at": None,
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def paged(found: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page of `found`, which holds one more than `limit` where there are further ones."""
    page = found[:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(found) > limit,
    }


def page_size(said: str | None, default: int, most: int) -> int:
    """`limit` of a query. Raises InvalidRequest."""
    if said is None or said == "":
        return default
    if not said.isascii() or not said.isdigit() or not 1 <= int(said[:9]) <= most:
        raise InvalidRequest(f"`limit` is from 1 to {most:,}.", param="limit")
    return int(said)


def _call(request: Request[Any, Any, Any]) -> Call:
    hub: Hub = request.app.state["hub"]
    return Call(request, hub, Fields({}))


ROUTES = [upload, listed, fetch, content, drop]
