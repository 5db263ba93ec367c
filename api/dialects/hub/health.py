"""`GET /` and the health routes: what is asked before anything else, without a key."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, get, route
from litestar.types import ASGIApp

from api.answering.reply import as_json, as_text

if TYPE_CHECKING:
    from api.hub import Hub
    from engine.types import LoadedModel

RUNNING: Final = "Ollama is running"
"""The very words that many clients look for."""


@route("/", http_method=["GET", "HEAD"], status_code=200)
async def root(request: Request[Any, Any, Any]) -> ASGIApp:
    """A JSON client gets the status, a browser the web page, others the words that tell that a server is there."""
    accept = request.headers.get("accept", "")
    if "application/json" in accept:
        return as_json(status(request.app.state["hub"]))
    if "text/html" in accept:
        from api.web.welcome import welcome

        return await welcome(request)
    return as_text(RUNNING)


@route(["/health", "/healthz", "/v1/health"], http_method=["GET", "HEAD"], status_code=200)
async def health(request: Request[Any, Any, Any]) -> ASGIApp:
    """Whether the server can answer, and with what."""
    hub: Hub = request.app.state["hub"]
    return as_json(status(hub), status=503 if hub.closing else 200)


def status(hub: Hub) -> dict[str, Any]:
    """What is loaded and how it is; `load_error` is that of a model that could not be loaded, if any."""
    loaded = hub.engine.loaded()
    ready = [one for one in loaded if one.state in ("ready", "busy", "shrunk")]
    failed = next((one.error for one in loaded if one.error is not None), None)
    usual = hub.settings.models.default
    model = next((one for one in ready if one.id == usual), ready[0] if ready else None)
    adapter = hub.default_adapters.get(model.id.lower()) if model is not None else None
    facts = model.facts if model is not None else None
    return {
        "status": "shutting down" if hub.closing else "ok",
        "backend": facts.capabilities.backend if facts is not None else None,
        "device": _device(model),
        "dtype": facts.quantisation if facts is not None else None,
        "models": [one.id for one in ready],
        "model": model.id if model is not None else usual,
        "adapter": adapter,
        "max_side": hub.settings.media.max_side,
        "load_error": failed.sentence() if failed is not None else None,
    }


@get("/hardware", status_code=200)
async def hardware(request: Request[Any, Any, Any]) -> ASGIApp:
    """What the machine does now: processors, memory, GPUs, disks, and the models in memory."""
    hub: Hub = request.app.state["hub"]
    return as_json(await hub.engine.hardware())


def _device(model: LoadedModel | None) -> str | None:
    if model is None:
        return None
    names = [device.device for device in model.memory.devices if device.weights]
    return "+".join(names) if names else platform.machine()
