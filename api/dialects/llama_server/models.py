"""`POST /models/load` and `/models/unload`, as llama-server's router has them; `POST /slots/{id}`, which is refused."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import as_json
from api.errors import NotHere
from api.reading.extensions import keep_alive_of, load_of
from engine.errors import InvalidRequest
from engine.text_safety import plain

_ACTIONS = ("save", "restore", "erase")


@post("/models/load", status_code=200)
async def load(request: Request[Any, Any, Any]) -> ASGIApp:
    """Bring a model, or the model of an alias, into memory; the answer comes when it is there."""
    call = await Call.of(request)
    model = call.hub.model(call.fields.need("model", str))
    alive = call.fields.any("keep_alive")
    options = load_of(call.fields.take("options", dict[str, Any]) or {})
    keep = None if alive is None else keep_alive_of(alive)
    await call.attended(call.hub.engine.load(model, options, keep_alive=keep))
    return as_json({"success": True}, headers=call.notes())


@post("/models/unload", status_code=200)
async def unload(request: Request[Any, Any, Any]) -> ASGIApp:
    """Send a model away; its running requests end as cancelled."""
    call = await Call.of(request)
    await call.hub.engine.unload(call.hub.model(call.fields.need("model", str)))
    return as_json({"success": True}, headers=call.notes())


@post("/slots/{slot:str}", status_code=200)
async def slot(request: Request[Any, Any, Any]) -> ASGIApp:
    """Raises NotHere, as llama-server without a folder for them: what was computed of prompts is kept by content, on
    disk too, without being asked. InvalidRequest for what is no slot and no action."""
    number, action = request.path_params["slot"], request.query_params.get("action")
    if not (number.isascii() and number.isdecimal()):
        raise InvalidRequest("Invalid slot ID.", f"{plain(number, 40)!r} is no number.", param="slot")
    if action not in _ACTIONS:
        raise InvalidRequest("Invalid action.", f"It is one of {', '.join(_ACTIONS)}.", param="action")
    raise NotHere(
        "This server does not support slots action: slots are not saved one by one.",
        "What was computed of prompts is kept by its content, over unloads and restarts too.",
        "Send the same prompt again: what is known of it is not computed anew.",
    )


ROUTES = [load, unload, slot]
