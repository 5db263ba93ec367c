"""`POST /v1/embeddings`. OpenAI's Python library asks for base64 unless told otherwise."""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec
import numpy as np
from litestar import Request, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import Reply
from api.reading.extensions import adapters_of, keep_alive_of, load_of
from api.reading.fields import Fields, as_kind
from api.reading.keywords import OPENAI
from engine.errors import InvalidRequest
from engine.types import Embeddings, EmbedRequest

MAX_INPUTS: Final = 2048
_encoder = msgspec.json.Encoder()


@post(["/v1/embeddings"], status_code=200)
async def embeddings(request: Request[Any, Any, Any]) -> ASGIApp:
    """A vector of unit length for each input."""
    return await vectors(await Call.of(request))


async def vectors(call: Call) -> ASGIApp:
    """The answer to a request whose body has been read."""
    asked, form = embed_request(call)
    found = await call.attended(call.hub.engine.embed(asked))
    cut = [(b"x-hearth-truncated", b"true")] if any(found.truncated) else []
    return Reply(embedded(found, form, call.named), headers=[*call.notes(), *cut])


def embed_request(call: Call) -> tuple[EmbedRequest, str]:
    """What is asked for, and the form of its numbers: `float` or `base64`. Raises InvalidRequest and its kin."""
    fields = call.fields
    fields.known(OPENAI)
    form = fields.take("encoding_format", str) or "float"
    if form not in ("float", "base64"):
        raise InvalidRequest("`encoding_format` is float or base64.", param="encoding_format")
    keep = fields.any("keep_alive")
    asked = EmbedRequest(
        model=call.model(),
        inputs=inputs_of(fields, "input"),
        dimensions=dimensions_of(fields),
        truncate=fields.take("truncate", bool) or False,
        adapters=adapters_of(fields),
        load=load_of(fields.take("options", dict[str, Any]) or {}),
        keep_alive=None if keep is None else keep_alive_of(keep),
        client=call.principal.name,
        source=call.dialect,
    )
    return asked, form


def embedded(found: Embeddings, form: str, named: str) -> bytes:
    """The answer's body; `named` is the model as the client called it."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector).decode() if form == "base64" else numbers(vector),
        }
        for index, vector in enumerate(found.vectors)
    ]
    tokens = sum(found.tokens)
    answer = {
        "object": "list",
        "data": data,
        "model": named,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return _encoder.encode(answer)


def numbers(vector: bytes) -> list[float]:
    """A vector's numbers."""
    found: list[float] = np.frombuffer(vector, "<f4").tolist()
    return found


def dimensions_of(fields: Fields) -> int | None:
    """`dimensions`, at least 1."""
    found = fields.take("dimensions", int)
    if found is not None and not 1 <= found < 2**31:
        raise InvalidRequest("`dimensions` is at least 1.", param="dimensions")
    return found


def inputs_of(fields: Fields, name: str) -> tuple[str | tuple[int, ...], ...]:
    """Text, token ids, or a list of either."""
    value = fields.any(name)
    if isinstance(value, str) or (
        isinstance(value, list) and value and all(type(each) is int for each in value)
    ):
        value = [value]
    if not isinstance(value, list) or not value:
        raise InvalidRequest(f"`{name}` must be text or a list of texts.", param=name)
    if len(value) > MAX_INPUTS:
        raise InvalidRequest(f"`{name}` holds too many texts.", f"At most {MAX_INPUTS}.", param=name)
    found: list[str | tuple[int, ...]] = []
    for each in value:
        if not each:
            raise InvalidRequest(f"`{name}` holds an empty text.", param=name)
        found.append(each if isinstance(each, str) else tuple(as_kind(each, list[int], name)))
    return tuple(found)
