"""`POST /api/embed`, and the older `POST /api/embeddings`."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import Reply
from api.dialects.openai.embeddings import MAX_INPUTS, dimensions_of, numbers
from api.reading.extensions import adapters_of, keep_alive_of, load_of
from api.reading.keywords import OLLAMA
from engine.errors import InvalidRequest
from engine.types import Embeddings, EmbedRequest, LoadOptions

_encoder = msgspec.json.Encoder()


@post("/api/embed", status_code=200)
async def embed(request: Request[Any, Any, Any]) -> ASGIApp:
    """A vector of unit length for each text; without a text the model is loaded."""
    call = await Call.of(request)
    named = call.fields.any("model") or call.fields.any("name")
    model = call.hub.model(named)
    value = call.fields.any("input")
    texts = [value] if isinstance(value, str) and value else value or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("invalid input type", param="input")
    if len(texts) > MAX_INPUTS:
        raise InvalidRequest("There are too many texts.", f"At most {MAX_INPUTS}.", param="input")
    truncate = call.fields.take("truncate", bool) is not False
    found = await _vectors(call, model, texts, truncate=truncate, normalise=True)
    answer: dict[str, Any] = {"model": str(named), "embeddings": []}
    cut: list[tuple[bytes, bytes]] = []
    if found is not None:
        answer["embeddings"] = [numbers(vector) for vector in found.vectors]
        answer["total_duration"] = int(found.total_s * 1e9)
        answer["load_duration"] = int(found.load_s * 1e9)
        answer["prompt_eval_count"] = sum(found.tokens)
        cut = [(b"x-hearth-truncated", b"true")] if any(found.truncated) else []
    return Reply(_encoder.encode(answer), headers=[*call.notes(), *cut])


@post("/api/embeddings", status_code=200)
async def embeddings(request: Request[Any, Any, Any]) -> ASGIApp:
    """One vector, as the model gives it."""
    call = await Call.of(request)
    model = call.hub.model(call.fields.any("model") or call.fields.any("name"))
    text = call.fields.take("prompt", str) or ""
    found = await _vectors(call, model, [text] if text else [], truncate=True, normalise=False)
    vector = numbers(found.vectors[0]) if found is not None else []
    return Reply(_encoder.encode({"embedding": vector}), headers=call.notes())


async def _vectors(
    call: Call, model: str, texts: list[str], *, truncate: bool, normalise: bool
) -> Embeddings | None:
    """The vectors of `texts`; None where there are none and the model is only loaded."""
    fields = call.fields
    fields.known(OLLAMA)
    load: LoadOptions = load_of(fields.take("options", dict[str, Any]) or {})
    keep = fields.any("keep_alive")
    alive = None if keep is None else keep_alive_of(keep)
    dimensions = dimensions_of(fields)
    adapters = adapters_of(fields)
    engine = call.hub.engine
    if not texts:
        await call.attended(
            engine.unload(model) if alive == 0 else engine.load(model, load, keep_alive=alive)
        )
        return None
    if not all(texts):
        raise InvalidRequest("invalid input: a text is empty", param="input")
    request = EmbedRequest(
        model=model,
        inputs=tuple(texts),
        normalise=normalise,
        dimensions=dimensions,
        truncate=truncate,
        adapters=adapters,
        load=load,
        keep_alive=alive,
        client=call.principal.name,
        source=call.dialect,
    )
    return await call.attended(engine.embed(request))
