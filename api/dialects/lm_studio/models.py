"""`GET /api/v0/models` and `GET /api/v0/models/{id}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, get
from litestar.types import ASGIApp

from api.answering.reply import as_json
from api.dialects.listing import Listed, Listing
from engine.errors import ModelNotFound
from engine.text_safety import plain
from engine.types import LoadedModel

if TYPE_CHECKING:
    from api.hub import Hub


@get("/api/v0/models", status_code=200)
async def list_models(request: Request[Any, Any, Any]) -> ASGIApp:
    """Every model and adapter, with what is loaded of them."""
    hub: Hub = request.app.state["hub"]
    listing: Listing = request.app.state["listing"]
    loaded = {one.id: one for one in hub.engine.loaded()}
    rows = [_row(one, loaded.get(one.entry.id)) for one in await listing.all()]
    return as_json({"object": "list", "data": rows})


@get("/api/v0/models/{name:path}", status_code=200)
async def get_model(request: Request[Any, Any, Any]) -> ASGIApp:
    """One of them. Raises ModelNotFound."""
    hub: Hub = request.app.state["hub"]
    listing: Listing = request.app.state["listing"]
    wanted = str(request.path_params["name"]).strip("/")
    found = await listing.find(wanted)
    if found is None:
        raise ModelNotFound(f"There is no model {plain(wanted, 80)!r}.", param="model")
    loaded = next((one for one in hub.engine.loaded() if one.id == found.entry.id), None)
    return as_json(_row(found, loaded))


def _row(listed: Listed, loaded: LoadedModel | None) -> dict[str, Any]:
    entry = listed.entry
    row: dict[str, Any] = {
        "id": listed.id,
        "object": "model",
        "type": "vlm" if "image" in entry.modalities else "llm",
        "publisher": entry.source,
        "arch": entry.architecture,
        "compatibility_type": entry.format,
        "quantization": entry.quantisation,
        "state": "not-loaded",
        "max_context_length": entry.context,
    }
    if loaded is not None and loaded.state in ("ready", "busy", "shrunk"):
        row["state"] = "loaded"
        row["loaded_context_length"] = loaded.facts.context if loaded.facts is not None else entry.context
    return row


ROUTES = [list_models, get_model]
