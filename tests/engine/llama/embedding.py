"""Drives an `Embedder` over a loaded model, and pools with llama.cpp's own pooling beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.runtime.backends.embedding.jobs import EmbedJob, Job
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.runtime.backends.llama.batch import Batch
from engine.runtime.backends.llama.embed_texts import Texts
from engine.runtime.backends.llama.embedder import Embedder
from engine.runtime.backends.llama.library import native
from engine.types import AdapterRef, Embeddings, EmbedRequest, LoadOptions, Ranking, RerankRequest

Vectors = list[NDArray[Any]]


EXACT: dict[str, Any] = {"flash_attention": False, "kv_type": "f32"}
"""Load options with which sums in another order are all that can differ: no half floats in between."""


class Reader:
    """A model with its texts and its embedder, as a worker will hold them; exact unless `options` are given."""

    def __init__(
        self, backend: LlamaBackend, *, clock: Callable[[], float] | None = None, **options: Any
    ) -> None:
        assert backend._model is not None
        name, shape = backend.facts.name, backend._shape
        self.backend = backend
        self.texts = Texts(backend._model, backend._vocabulary, name=name, limit=shape.context)
        more: dict[str, Any] = {} if clock is None else {"clock": clock}
        self.embedder = Embedder(
            backend._model, backend._context, name, shape, LoadOptions(**(options or EXACT)), backend._adapters,
            backend._flag, **more,
        )  # fmt: skip

    def job(
        self, *inputs: str | Sequence[int], adapters: tuple[AdapterRef, ...] = (), **fields: Any
    ) -> EmbedJob:
        given = tuple(each if isinstance(each, str) else tuple(each) for each in inputs)
        return self.texts.embed_job(EmbedRequest(model="it", inputs=given, **fields), adapters)

    def run(self, *jobs: Job) -> int:
        """Read them to their end; how many steps it took. The first error is raised."""
        for job in jobs:
            self.embedder.begin(job)
        steps, left = 0, list(jobs)
        while left:
            steps += 1
            for job in self.embedder.step():
                if job.error is not None:
                    raise job.error
                left.remove(job)
        assert not self.embedder.busy
        return steps

    def vectors(self, *inputs: str | Sequence[int], **fields: Any) -> Vectors:
        job = self.job(*inputs, **{"normalise": False, **fields})
        self.run(job)
        return job.vectors()

    def embeddings(self, *inputs: str | Sequence[int], **fields: Any) -> Embeddings:
        job = self.job(*inputs, **fields)
        self.run(job)
        return job.answer("it")

    def ranking(self, query: str, *documents: str, top_n: int | None = None) -> Ranking:
        job = self.texts.rank_job(RerankRequest(model="it", query=query, documents=documents, top_n=top_n))
        self.run(job)
        return job.answer("it")


def pooled_by_the_library(backend: LlamaBackend, tokens: Sequence[int], pooling: str) -> NDArray[np.float32]:
    """The vector of one text by llama.cpp's own pooling, in one batch of a context of its own."""
    api = native()
    params = api.llama_context_default_params()
    params.embeddings = True
    params.pooling_type = getattr(api, f"LLAMA_POOLING_TYPE_{pooling.upper()}")
    params.n_ctx = params.n_batch = params.n_ubatch = max(512, len(tokens))
    params.n_threads = params.n_threads_batch = 1
    params.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.type_k = params.type_v = 0
    context = api.llama_init_from_model(backend._model, params)
    batch = Batch(len(tokens), [(0,)])
    batch.add(0, tokens, 0, outputs=1)
    batch.want_all()
    encodes = api.llama_get_memory(context) is None
    code = (api.llama_encode if encodes else api.llama_decode)(context, batch.native)
    assert code == 0
    width = api.llama_model_n_embd_out(backend._model)
    found = np.ctypeslib.as_array(api.llama_get_embeddings_seq(context, 0), shape=(width,)).copy()
    api.llama_free(context)
    return found
