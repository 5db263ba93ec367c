"""`GET /v1/models`: one list that OpenAI's and Anthropic's clients both read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, delete, route
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import Reply, as_json
from api.dialects.listing import Listed, Listing
from api.reading.fields import Fields
from engine.errors import ModelNotFound
from engine.text_safety import plain

_encoder = msgspec.json.Encoder()
_cache: dict[int, tuple[tuple[Listed, ...], bytes]] = {}


@route(["/v1/models", "/models", "/anthropic/v1/models"], http_method=["GET", "HEAD"], status_code=200)
async def list_models(request: Request[Any, Any, Any]) -> ASGIApp:
    """Every model and adapter; Anthropic's paging where it is asked for."""
    listing: Listing = request.app.state["listing"]
    listed = await listing.all()
    query = request.query_params
    if any(name in query for name in ("after_id", "before_id", "limit")):
        return as_json(_page(listed, query.get("after_id"), query.get("before_id"), query.get("limit")))
    known = _cache.get(id(listing))
    if known is None or known[0] is not listed:
        known = _cache[id(listing)] = (
            listed,
            _encoder.encode(envelope([model_of(one) for one in listed], False)),
        )
    return Reply(known[1])


@route(
    ["/v1/models/{name:path}", "/models/{name:path}", "/anthropic/v1/models/{name:path}"],
    http_method=["GET", "HEAD"],
    status_code=200,
)
async def get_model(request: Request[Any, Any, Any]) -> ASGIApp:
    """One model by its id, which may hold slashes and colons. Raises ModelNotFound."""
    listing: Listing = request.app.state["listing"]
    wanted = str(request.path_params["name"]).strip("/")
    found = await listing.find(wanted)
    if found is None:
        raise ModelNotFound(
            f"There is no model {plain(wanted, 80)!r}.", fix="`GET /v1/models` lists them.", param="model"
        )
    return as_json(model_of(found))


@delete("/v1/models/{name:path}", status_code=200)
async def delete_model(request: Request[Any, Any, Any]) -> ASGIApp:
    """Delete an alias, or a model of the cache. Raises ModelNotFound."""
    from api.dialects.ollama.removing import remove

    hub, listing = request.app.state["hub"], request.app.state["listing"]
    wanted = str(request.path_params["name"]).strip("/")
    await remove(Call(request, hub, Fields({})), listing, hub.model(wanted))
    return as_json({"id": wanted, "object": "model", "deleted": True})


def envelope(data: list[dict[str, Any]], more: bool) -> dict[str, Any]:
    """The list as both families write it, and `models`, which Codex and System One's clients read."""
    return {
        "object": "list",
        "data": data,
        "has_more": more,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "models": [
            {"name": one["id"], "description": one["display_name"], "release_date": one["created_at"][:10]}
            for one in data
        ],
    }


def model_of(listed: Listed) -> dict[str, Any]:
    """One model as both families write it, with what llama-server, vLLM and oterm add."""
    entry = listed.entry
    created_at = datetime.fromtimestamp(listed.modified, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": listed.id,
        "object": "model",
        "created": int(listed.modified),
        "owned_by": entry.source,
        "root": entry.id,
        "parent": listed.parent,
        "max_model_len": entry.context or None,
        "meta": {"n_ctx_train": entry.context, "n_params": entry.parameters, "size": entry.size},
        "architecture": {"input_modalities": list(entry.modalities), "output_modalities": ["text"]},
        "type": "model",
        "display_name": listed.id,
        "created_at": created_at,
        "lifecycle": "active",
        "line": None,
        "deprecated_at": None,
        "retires_at": None,
        "capabilities": None,
        "max_input_tokens": entry.context or None,
        "max_tokens": entry.context or None,
    }


def _page(
    listed: tuple[Listed, ...], after: str | None, before: str | None, limit: str | None
) -> dict[str, Any]:
    rows = list(listed)
    ids = [one.id for one in rows]
    if after in ids:
        rows = rows[ids.index(after) + 1 :]
    elif before in ids:
        rows = rows[: ids.index(before)]
    most = int(limit) if limit and limit.isascii() and limit.isdigit() and len(limit) < 5 else 20
    most = max(1, min(1000, most))
    page = rows[-most:] if before and not after else rows[:most]
    return envelope([model_of(one) for one in page], len(rows) > len(page))
