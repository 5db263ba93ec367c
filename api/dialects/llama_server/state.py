"""`/props`, `/slots` and `/lora-adapters`: what the default model is and does."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, get, post
from litestar.types import ASGIApp

from api.answering.reply import as_json
from api.dialects.listing import Listed, Listing
from api.dialects.llama_server.tokenizing import marks_of
from api.errors import NotHere
from api.reading.body import read_json
from api.reading.fields import as_kind
from engine import resolve_sampling
from engine.errors import InvalidRequest, ModelNotFound, ModelUnavailable

if TYPE_CHECKING:
    from api.hub import Hub


@get("/props", status_code=200)
async def props(request: Request[Any, Any, Any]) -> ASGIApp:
    """The model, its template and the sampling that it has where nothing is said."""
    hub: Hub = request.app.state["hub"]
    model = (await _listed(request, hub)).entry.id
    facts = await hub.engine.facts(model)
    said = {**facts.sampling, **hub.settings.generation.sampling_overrides}
    params = msgspec.to_builtins(resolve_sampling(said))
    loaded = any(one.id == facts.name or one.id == model for one in hub.engine.loaded())
    modalities = facts.capabilities.modalities
    begin, end = await marks_of(hub, model, facts)
    return as_json(
        {
            "default_generation_settings": {"id": 0, "n_ctx": facts.context, "params": params},
            "total_slots": hub.settings.runtime.slots,
            "model_path": model,
            "model_alias": model,
            "chat_template": facts.chat_template or "",
            "chat_template_caps": {"tools": bool(facts.tool_format), "thinking": facts.thinking},
            "bos_token": begin or "",
            "eos_token": end or "",
            "modalities": {"vision": "image" in modalities, "audio": "audio" in modalities},
            "build_info": f"hearth-{version('hearth')}",
            "is_sleeping": not loaded,
        }
    )


@post("/props", status_code=200)
async def set_props() -> ASGIApp:
    """Raises NotHere: settings are changed where they are written."""
    raise NotHere("Properties cannot be set over HTTP.", fix="Change the settings (`hearth config`).")


@get("/slots", status_code=200)
async def slots(request: Request[Any, Any, Any]) -> ASGIApp:
    """One entry a slot; no word of what is said in them."""
    hub: Hub = request.app.state["hub"]
    count = hub.settings.runtime.slots
    active = [one for one in hub.engine.running() if one.state in ("prefill", "decode")][:count]
    if "fail_on_no_slot" in request.query_params and len(active) >= count:
        raise ModelUnavailable("no slot available", fix="Wait a moment.")
    windows = {each.id: each.facts.context for each in hub.engine.loaded() if each.facts is not None}
    widest = max(windows.values(), default=0)
    rows: list[dict[str, Any]] = []
    for place in range(count):
        one = active[place] if place < len(active) else None
        rows.append(
            {
                "id": place,
                "id_task": one.id if one else -1,
                "is_processing": one is not None,
                "n_ctx": windows.get(one.model, widest) if one else widest,
                "speculative": bool(hub.settings.runtime.draft_tokens),
                "model": one.model if one else "",
                "state": one.state if one else "idle",
                "next_token": {
                    "has_next_token": one is not None,
                    "n_decoded": one.completion_tokens if one else 0,
                },
            }
        )
    return as_json(rows)


@get("/lora-adapters", status_code=200)
async def lora_adapters(request: Request[Any, Any, Any]) -> ASGIApp:
    """The adapters of the default model; the scale is that with which they are laid over it where nothing is said."""
    hub: Hub = request.app.state["hub"]
    listed = await _listed(request, hub)
    scales = _scales(hub.default_adapters.get(listed.entry.id.lower(), ""))
    return as_json(
        [
            {"id": place, "path": name, "scale": scales.get(name, 0.0)}
            for place, name in enumerate(listed.entry.adapters)
        ]
    )


@post("/lora-adapters", status_code=200)
async def set_lora_adapters(request: Request[Any, Any, Any]) -> ASGIApp:
    """Set those scales, until the server ends; an adapter that is not listed gets none."""
    hub: Hub = request.app.state["hub"]
    listed = await _listed(request, hub)
    rows = as_kind(await read_json(request, hub.settings.server.max_body), list[dict[str, Any]], "body")
    names = listed.entry.adapters
    parts: list[str] = []
    for row in rows:
        place = as_kind(row.get("id"), int, "id")
        scale = as_kind(row.get("scale", 1.0), float, "scale")
        if not 0 <= place < len(names):
            raise InvalidRequest(f"There is no adapter {place}.", f"There are {len(names)}.", param="id")
        if not abs(scale) <= 100:
            raise InvalidRequest("`scale` is from -100 to 100.", param="scale")
        if scale:
            parts.append(f"{names[place]}={scale:.6f}")
    if parts:
        hub.default_adapters[listed.entry.id.lower()] = "+".join(parts)
    else:
        hub.default_adapters.pop(listed.entry.id.lower(), None)
    return as_json({"success": True})


def _model(request: Request[Any, Any, Any], hub: Hub) -> str:
    return hub.model(request.query_params.get("model") or hub.settings.models.default)


async def _listed(request: Request[Any, Any, Any], hub: Hub) -> Listed:
    listing: Listing = request.app.state["listing"]
    model = _model(request, hub)
    found = await listing.find(model) or await listing.find(model.rpartition(":")[0])
    if found is None:
        raise ModelNotFound(f"There is no model {model!r}.", param="model")
    return found


def _scales(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in filter(None, text.split("+")):
        name, equals, scale = part.rpartition("=")
        found[name if equals else part] = float(scale) if equals else 1.0
    return found
