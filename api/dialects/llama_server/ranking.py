"""`POST /rerank`, in the form that Jina gave it, and `POST /embedding`, llama-server's own."""

from __future__ import annotations

from typing import Any

import numpy as np
from litestar import Request, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import as_json
from api.dialects.llama_server.texts import model_of
from api.dialects.openai.embeddings import inputs_of
from api.reading.fields import as_kind
from engine.errors import InvalidRequest
from engine.types import EmbedRequest, RerankRequest

MAX_DOCUMENTS = 2048


@post(["/rerank", "/reranking", "/v1/rerank", "/v1/reranking"], status_code=200)
async def rerank(request: Request[Any, Any, Any]) -> ASGIApp:
    """Documents by their nearness to a query, the nearest first."""
    call = await Call.of(request)
    fields = call.fields
    value = fields.any("documents")
    value = fields.any("texts") if value is None else value
    documents = [
        as_kind(each.get("text") if isinstance(each, dict) else each, str, "documents")
        for each in as_kind(value, list[Any], "documents")
    ]
    if not documents or len(documents) > MAX_DOCUMENTS:
        raise InvalidRequest(f"`documents` holds from 1 to {MAX_DOCUMENTS} texts.", param="documents")
    top = fields.take("top_n", int)
    if top is not None and top < 1:
        raise InvalidRequest("`top_n` is at least 1.", param="top_n")
    shows = fields.take("return_documents", bool) or False
    asked = RerankRequest(
        model=model_of(call),
        query=fields.need("query", str),
        documents=tuple(documents),
        top_n=top,
        client=call.principal.name,
        source=call.dialect,
    )
    found = await call.attended(call.hub.engine.rerank(asked))
    results = [
        {
            "index": one.index,
            "relevance_score": one.score,
            **({"document": {"text": documents[one.index]}} if shows else {}),
        }
        for one in found.results
    ]
    usage = {"prompt_tokens": found.tokens, "total_tokens": found.tokens}
    body = {"model": asked.model, "object": "list", "usage": usage, "results": results}
    return as_json(body, headers=call.notes())


@post(["/embedding", "/embeddings"], status_code=200)
async def embedding(request: Request[Any, Any, Any]) -> ASGIApp:
    """A list of `{index, embedding: [[…]]}`, a vector each, or one for each token with `pooling: none`.

    A request with `input` is answered as `/v1/embeddings` is.
    """
    call = await Call.of(request)
    fields = call.fields
    if fields.has("input") and not fields.has("content"):
        from api.dialects.openai.embeddings import vectors

        return await vectors(call)
    pooling = fields.take("pooling", str)
    if pooling not in (None, "none", "mean", "cls", "last"):
        raise InvalidRequest("`pooling` is none, mean, cls or last.", param="pooling")
    norm = fields.take("embd_normalize", int)
    if norm not in (None, -1, 2):
        raise InvalidRequest(
            "`embd_normalize` is -1 or 2.", "Other norms are not computed.", param="embd_normalize"
        )
    asked = EmbedRequest(
        model=model_of(call),
        inputs=inputs_of(fields, "content"),
        pooling=pooling,  # type: ignore[arg-type]
        normalise=norm != -1 and pooling != "none",
        truncate=False,
        client=call.principal.name,
        source=call.dialect,
    )
    found = await call.attended(call.hub.engine.embed(asked))
    width = found.dimensions
    rows = [
        {"index": place, "embedding": np.frombuffer(vector, "<f4").reshape(-1, width).tolist()}
        for place, vector in enumerate(found.vectors)
    ]
    return as_json(rows, headers=call.notes())
