"""`POST /chat`: one question, one answer, in the plainest form; and the adapters by which it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, get, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import as_json
from api.answering.result import Result
from api.dialects.listing import Listing
from api.dialects.openai.usage import timings_of
from api.reading.extensions import adapter_of
from api.reading.sampling import sampling_of, stops_of
from engine.errors import InvalidRequest, ModelNotFound
from engine.text_safety import plain
from engine.types import GenerationRequest

if TYPE_CHECKING:
    from api.hub import Hub

_encoder = msgspec.json.Encoder()


class ChatAnswer:
    """`{response, model, adapter, usage, timings}`."""

    def __init__(self, model: str, adapter: str | None) -> None:
        self._model, self._adapter = model, adapter

    def body(self, result: Result) -> bytes:
        choice, usage = result.first, result.usage
        answer: dict[str, Any] = {
            "response": choice.text,
            "model": self._model,
            "adapter": self._adapter,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "cached_tokens": usage.cached_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.total_tokens,
            },
            "timings": timings_of(usage, result.timings),
            "finish_reason": choice.reason,
        }
        if choice.reasoning:
            answer["reasoning"] = choice.reasoning
        if result.truncated:
            answer["truncated"] = True
        return _encoder.encode(answer)


@post("/chat", status_code=200)
async def chat(request: Request[Any, Any, Any]) -> ASGIApp:
    """The answer to `prompt`, by the default model if none is named."""
    call = await Call.of(request)
    fields = call.fields
    prompt = fields.need("prompt", str)
    if not prompt.strip():
        raise InvalidRequest("`prompt` is empty.", param="prompt")
    model = call.hub.model(fields.take("model", str) or call.hub.settings.models.default)
    limit = fields.take("max_tokens", int, "max_new_tokens")
    if limit is not None and not 1 <= limit < 2**31:
        raise InvalidRequest("`max_tokens` is at least 1.", param="max_tokens")
    asked = GenerationRequest(
        model=model,
        prompt=prompt,
        system=fields.take("system", str),
        max_tokens=limit,
        sampling=sampling_of(fields),
        stop=stops_of(fields),
    )
    asked = call.complete(asked)
    listing: Listing = request.app.state["listing"]
    base, own = await _parts(listing, model)
    named = ", ".join(each.name for each in asked.adapters) if asked.adapters else own
    return call.answer(asked, whole=ChatAnswer(base, named), codec=None, model=model)


@post("/adapters/load", status_code=200)
async def load_adapter(request: Request[Any, Any, Any]) -> ASGIApp:
    """Make an adapter the one that a model answers with where nothing is said, until the server ends.

    Raises ModelNotFound for an unknown model or adapter. `base` and `none` take it back.
    """
    call = await Call.of(request)
    hub, fields = call.hub, call.fields
    name = adapter_of(fields.need("adapter_name", str, "adapter"), "adapter_name").name
    listing: Listing = request.app.state["listing"]
    model, _ = await _parts(listing, hub.model(fields.take("model", str) or hub.settings.models.default))
    found = await listing.find(model)
    if found is None:
        raise ModelNotFound(f"There is no model {plain(model, 80)!r}.", param="model")
    if name.lower() in ("base", "none"):
        hub.default_adapters.pop(found.id.lower(), None)
        return as_json({"status": "ok", "model": found.id, "adapter": None})
    known = next((each for each in found.entry.adapters if each.lower() == name.lower()), None)
    if known is None:
        raise ModelNotFound(
            f"{found.id} has no adapter {plain(name, 80)!r}.",
            f"It has {', '.join(found.entry.adapters) or 'none'}.",
            "`GET /adapters` lists them.",
            param="adapter_name",
        )
    hub.default_adapters[found.id.lower()] = known
    return as_json({"status": "ok", "model": found.id, "adapter": known})


async def _parts(listing: Listing, name: str) -> tuple[str, str | None]:
    """A model or alias, and the adapter that its name asks for; ids of models may hold colons too."""
    found = await listing.find(name)
    head, colon, own = name.rpartition(":")
    if found is None:
        return (head, own) if colon and await listing.find(head) is not None else (name, None)
    if found.alias is None:
        return found.parent or found.id, found.adapter
    is_listed = any(each.id == found.id for each in await listing.all())
    return found.id if is_listed else found.id.rpartition(":")[0], found.adapter


@get("/adapters", status_code=200)
async def adapters(request: Request[Any, Any, Any]) -> ASGIApp:
    """Every adapter with its model; those that cannot be used with the reason."""
    hub: Hub = request.app.state["hub"]
    found = []
    for entry in await hub.engine.models():
        default = hub.default_adapters.get(entry.id.lower())
        found += [
            {
                "name": name,
                "model": entry.id,
                "id": f"{entry.id}:{name}",
                "default": name == default,
                "error": None,
            }
            for name in entry.adapters
        ]
        found += [
            {"name": name, "model": entry.id, "id": None, "default": False, "error": why}
            for name, why in entry.broken_adapters.items()
        ]
    return as_json({"adapters": found})
