"""What there is: `/api/tags`, `/api/ps`, `/api/show`, `/api/version`, `/api/status`."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, get, post, route
from litestar.types import ASGIApp

from api.answering.reply import Reply, as_json
from api.dialects.listing import Listed, Listing
from api.dialects.ollama.moment import FOREVER, after, rfc3339
from api.errors import Unauthorized
from engine.types import LoadedModel, ModelEntry, ModelFacts

if TYPE_CHECKING:
    from api.hub import Hub

SPOKEN: Final = "0.35.0"
"""The version of Ollama whose protocol is spoken; clients decide by it what they may send."""
_encoder = msgspec.json.Encoder()
_cache: dict[int, tuple[tuple[Listed, ...], bytes]] = {}


@route("/api/version", http_method=["GET", "HEAD"], status_code=200)
async def show_version() -> ASGIApp:
    """The protocol's version, and Hearth's own."""
    return as_json({"version": SPOKEN, "hearth": version("hearth")})


@get("/api/status", status_code=200)
async def show_status() -> ASGIApp:
    """That there is no cloud behind this server."""
    return as_json({"cloud": {"disabled": True, "source": "hearth"}})


@post(["/api/me", "/api/signout"], status_code=200)
async def account() -> ASGIApp:
    """There is no account."""
    raise Unauthorized("There is no account here.", "Hearth runs on this machine alone.")


@route("/api/tags", http_method=["GET", "HEAD"], status_code=200)
async def tags(request: Request[Any, Any, Any]) -> ASGIApp:
    """Every model and adapter, the newest first."""
    listing: Listing = request.app.state["listing"]
    listed = await listing.all()
    known = _cache.get(id(listing))
    if known is None or known[0] is not listed:
        newest = sorted(listed, key=lambda one: -one.modified)
        body = _encoder.encode({"models": [_tag(one) for one in newest]})
        known = _cache[id(listing)] = (listed, body)
    return Reply(known[1])


@get("/api/ps", status_code=200)
async def ps(request: Request[Any, Any, Any]) -> ASGIApp:
    """The models in memory, who stays longest first."""
    hub: Hub = request.app.state["hub"]
    listing: Listing = request.app.state["listing"]
    known = {one.id: one for one in await listing.all() if one.parent is None}
    loaded = [one for one in hub.engine.loaded() if one.state != "failed"]
    ordered = sorted(loaded, key=lambda one: -(one.expires_ns or 2**63))
    return as_json({"models": [_running(one, known.get(one.id)) for one in ordered]})


def tag_name(id: str) -> str:
    """A model's name with a tag, as Ollama lists it."""
    return id if ":" in id else f"{id}:latest"


def capabilities_of(facts: ModelFacts, entry: ModelEntry) -> list[str]:
    """Ollama's words for what a model can do."""
    can = facts.capabilities
    found = ["completion"] if can.sampling else []
    found += ["tools"] if facts.tool_format else []
    found += ["insert"] if can.infill else []
    found += ["vision"] if "image" in (*can.modalities, *entry.modalities) else []
    found += ["embedding"] if can.embeddings and not can.sampling else []
    found += ["thinking"] if facts.thinking else []
    return found


def details_of(entry: ModelEntry, parent: str | None = None) -> dict[str, Any]:
    """The `details` of lists."""
    form = {"gguf": "gguf", "mlx": "mlx"}.get(entry.format, "safetensors")
    return {
        "parent_model": parent or "",
        "format": form,
        "family": entry.architecture,
        "families": [entry.architecture] if entry.architecture else [],
        "parameter_size": size_words(entry.parameters),
        "quantization_level": entry.quantisation,
        "context_length": entry.context,
    }


def _tag(listed: Listed) -> dict[str, Any]:
    name = tag_name(listed.id)
    return {
        "name": name,
        "model": name,
        "modified_at": rfc3339(int(listed.modified * 1e9)),
        "size": listed.entry.size,
        "digest": listed.digest,
        "details": details_of(listed.entry, listed.parent),
    }


def _running(loaded: LoadedModel, listed: Listed | None) -> dict[str, Any]:
    memory, facts = loaded.memory, loaded.facts
    size = memory.weights + memory.kv_cache + memory.compute
    on_gpu = sum(device.total for device in memory.devices if device.kind != "cpu")
    expires = FOREVER
    if loaded.expires_ns is not None:
        expires = after((loaded.expires_ns - time.monotonic_ns()) / 1e9)
    name = tag_name(loaded.id)
    return {
        "name": name,
        "model": name,
        "size": size,
        "digest": listed.digest if listed is not None else "0" * 64,
        "details": details_of(listed.entry) if listed is not None else {},
        "expires_at": expires,
        "size_vram": min(size, on_gpu),
        "context_length": facts.context if facts is not None else 0,
        "state": loaded.state,
        "active": loaded.active,
        "queued": loaded.queued,
    }


def size_words(count: int) -> str:
    """A number of parameters, as lists have it."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return f"{count / size:.1f}{letter}"
    return str(count)
