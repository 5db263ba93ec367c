"""One route a method of `engine.face.Hub`: search, pulls, and the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.types import ASGIApp
from msgspec import Struct

from api.answering.call import Call
from api.answering.codec import SSE
from api.answering.reply import as_json
from api.dialects.native.reading import read
from engine.errors import InvalidRequest
from engine.types import HubQuery, PullRequest

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

    from api.hub import Hub
    from engine import Pulling

_json = msgspec.json.Encoder()


class Repository(Struct, frozen=True, kw_only=True):
    """A model of the hub; `dry_run` says what would be deleted and deletes nothing."""

    model: str | None = None
    dry_run: bool = False


async def _named(request: Request[Any, Any, Any]) -> tuple[Call, str, bool]:
    call, asked = await read(request, Repository)
    if not asked.model:
        raise InvalidRequest("model is required", param="model")
    return call, asked.model, asked.dry_run


@post("/hearth/v1/search_hub", status_code=200)
async def search_hub(request: Request[Any, Any, Any]) -> ASGIApp:
    """Models of the hub, and those here that match."""
    call, query = await read(request, HubQuery)
    return as_json(await call.attended(call.hub.engine.search_hub(query)))


@post("/hearth/v1/hub_card", status_code=200)
async def hub_card(request: Request[Any, Any, Any]) -> ASGIApp:
    """What a repository says of itself."""
    call, model, _ = await _named(request)
    return as_json(await call.attended(call.hub.engine.hub_card(model)))


@post("/hearth/v1/hub_files", status_code=200)
async def hub_files(request: Request[Any, Any, Any]) -> ASGIApp:
    """The forms in which a model can be pulled."""
    call, model, _ = await _named(request)
    return as_json(await call.attended(call.hub.engine.hub_files(model)))


@post("/hearth/v1/plan_pull", status_code=200)
async def plan_pull(request: Request[Any, Any, Any]) -> ASGIApp:
    """What a pull would fetch."""
    call, asked = await read(request, PullRequest)
    return as_json(await call.attended(call.hub.engine.plan_pull(asked)))


@post("/hearth/v1/pull", status_code=200)
async def pull(request: Request[Any, Any, Any]) -> ASGIApp:
    """The states of a pull, as events. A reader that leaves gives nothing up: `cancel_pull` does."""
    call, asked = await read(request, PullRequest)
    return States(call.hub.engine.pull(asked))


@get("/hearth/v1/pulls", status_code=200)
async def pulls(request: Request[Any, Any, Any]) -> ASGIApp:
    """The pull that runs, those that wait, those that ended."""
    hub: Hub = request.app.state["hub"]
    return as_json(hub.engine.pulls())


@get("/hearth/v1/interrupted_pulls", status_code=200)
async def interrupted_pulls(request: Request[Any, Any, Any]) -> ASGIApp:
    """Pulls that were broken off."""
    hub: Hub = request.app.state["hub"]
    return as_json(await hub.engine.interrupted_pulls())


@delete("/hearth/v1/pulls/{pull_id:str}", status_code=200)
async def cancel_pull(request: Request[Any, Any, Any]) -> ASGIApp:
    """Give a pull up."""
    hub: Hub = request.app.state["hub"]
    return as_json({"cancelled": await hub.engine.cancel_pull(request.path_params["pull_id"])})


@post("/hearth/v1/newer_revisions", status_code=200)
async def newer_revisions(request: Request[Any, Any, Any]) -> ASGIApp:
    """Whether the hub has something newer than what is here."""
    call, asked = await read(request, Repository)
    return as_json(await call.attended(call.hub.engine.newer_revisions(asked.model)))


@get("/hearth/v1/cache", status_code=200)
async def cache_scan(request: Request[Any, Any, Any]) -> ASGIApp:
    """What is in the cache."""
    hub: Hub = request.app.state["hub"]
    return as_json(await hub.engine.cache_scan())


@post("/hearth/v1/cache_prune", status_code=200)
async def cache_prune(request: Request[Any, Any, Any]) -> ASGIApp:
    """Delete what no revision uses."""
    call, asked = await read(request, Repository)
    return as_json(await call.hub.engine.cache_prune(dry_run=asked.dry_run))


@post("/hearth/v1/verify_weights", status_code=200)
async def verify_weights(request: Request[Any, Any, Any]) -> ASGIApp:
    """Hold all files of a repository against their checksums."""
    call, model, _ = await _named(request)
    return as_json(await call.attended(call.hub.engine.verify_weights(model)))


@post("/hearth/v1/delete_weights", status_code=200)
async def delete_weights(request: Request[Any, Any, Any]) -> ASGIApp:
    """Delete a model of the cache."""
    call, model, dry_run = await _named(request)
    return as_json(await call.hub.engine.delete_weights(model, dry_run=dry_run))


class States:
    """Sends the states of a pull as server-sent events."""

    def __init__(self, pulling: Pulling) -> None:
        self._pulling = pulling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Any = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", SSE)]}
        await send(start)
        async for state in self._pulling:
            piece = b"event: pull\ndata: %s\n\n" % _json.encode(state)
            body: Any = {"type": "http.response.body", "body": piece, "more_body": True}
            await send(body)
        end: Any = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(end)


ROUTES = [
    search_hub, hub_card, hub_files, plan_pull, pull, pulls, interrupted_pulls, cancel_pull, newer_revisions,
    cache_scan, cache_prune, verify_weights, delete_weights,
]  # fmt: skip
