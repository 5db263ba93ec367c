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
MAX_NORM = 64


@post(["/rerank", "/reranking", "/v1/rerank", "/v1/reranking", "/v2/rerank"], status_code=200)
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
        from api.dialects.openai.embeddings import vectors as answered

        return await answered(call)
    pooling = fields.take("pooling", str)
    if pooling not in (None, "none", "mean", "cls", "last"):
        raise InvalidRequest("`pooling` is none, mean, cls or last.", param="pooling")
    norm = fields.take("embd_normalize", int)
    norm = 2 if norm is None else norm
    if not -1 <= norm <= MAX_NORM:
        raise InvalidRequest(f"`embd_normalize` is from -1 to {MAX_NORM}.", param="embd_normalize")
    asked = EmbedRequest(
        model=model_of(call),
        inputs=inputs_of(fields, "content"),
        pooling=pooling,  # type: ignore[arg-type]
        normalise=norm == 2 and pooling != "none",
        truncate=False,
        client=call.principal.name,
        source=call.dialect,
    )
    found = await call.attended(call.hub.engine.embed(asked))
    rows = []
    for place, vector in enumerate(found.vectors):
        found_rows = np.frombuffer(vector, "<f4").reshape(-1, found.dimensions)
        if pooling != "none" and norm not in (-1, 2):
            found_rows = normed(found_rows, norm)
        rows.append({"index": place, "embedding": found_rows.tolist()})
    return as_json(rows, headers=call.notes())


def normed(vectors: np.ndarray[Any, Any], norm: int) -> np.ndarray[Any, Any]:
    """Each row by its p-norm; 0 is llama.cpp's own: the largest value becomes 32,760, the range of 16-bit integers."""
    sizes = np.abs(vectors.astype(np.float64))
    if norm == 0:
        length = sizes.max(axis=1, keepdims=True) / 32760
    else:
        # By the largest first: high powers of large values have no number.
        largest = sizes.max(axis=1, keepdims=True)
        scaled = sizes / np.where(largest > 0, largest, 1)
        length = largest * (scaled**norm).sum(axis=1, keepdims=True) ** (1 / norm)
    return vectors / np.where(length > 0, length, 1)
