"""Embeddings and ranking of one loaded model, as the seam wants them: `Texts` makes jobs, an `Embedder` reads them."""

from __future__ import annotations

from engine.runtime.backends.base import TextJob
from engine.runtime.backends.embedding.jobs import EmbedJob, Job, RankJob
from engine.runtime.backends.llama.embed_texts import Texts
from engine.runtime.backends.llama.embedder import Embedder
from engine.types import AdapterRef, EmbedRequest, RerankRequest


class TextReader:
    """See `engine.runtime.backends.base.TextReader`."""

    def __init__(self, texts: Texts, embedder: Embedder) -> None:
        self._texts, self._embedder = texts, embedder

    def embed_job(self, request: EmbedRequest, adapters: tuple[AdapterRef, ...]) -> EmbedJob:
        return self._texts.embed_job(request, adapters)

    def rank_job(self, request: RerankRequest) -> RankJob:
        return self._texts.rank_job(request)

    def begin(self, job: TextJob) -> None:
        assert isinstance(job, Job)
        self._embedder.begin(job)

    def step(self) -> tuple[Job, ...]:
        return self._embedder.step()

    def cancel(self, job: TextJob) -> None:
        assert isinstance(job, Job)
        self._embedder.cancel(job)

    @property
    def busy(self) -> bool:
        return self._embedder.busy

    @property
    def log(self) -> list[str]:
        """The library's lines of opening its context, with the sizes of its buffers."""
        return self._embedder.log

    def release(self) -> None:
        """Free its memory; what is being read is read anew."""
        self._embedder.release()

    @property
    def holds_memory(self) -> bool:
        return self._embedder.holds_memory

    def release_if_idle(self, seconds: float) -> bool:
        return self._embedder.holds_memory and self._embedder.release_if_idle(seconds)
