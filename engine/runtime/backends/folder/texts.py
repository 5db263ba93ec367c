"""Reads texts for their vectors, beside the chat: passes of their own over the same weights.

Many texts share a pass as sequences do; a long one is read in pieces. Their keys and values lie in holders that nobody
else uses, and are gone as soon as a text is read.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Struct

from engine.errors import HearthError, Unsupported
from engine.library.model_folder import ModelFolder
from engine.runtime.backends.base import TextJob
from engine.runtime.backends.embedding.jobs import EmbedJob, Job
from engine.runtime.backends.embedding.texts import EmbedTexts
from engine.runtime.backends.folder.library import Interrupted, Library, Part
from engine.types import AdapterRef, EmbedRequest, Pooling, RerankRequest

AT_ONCE: Final = 8
"""Texts of one pass."""
_STEP: Final = 512
"""Most tokens of a pass: the chat waits that long."""


class _Reading(Struct, eq=False):
    """A text in its holder; the first `computed` of its tokens are read."""

    job: Job
    index: int
    holder: int
    tokens: tuple[int, ...]
    wanted: range
    computed: int = 0


class TextReader:
    """See `engine.runtime.backends.base.TextReader`. `scratch` are the holders that it may use."""

    holds_memory = False

    def __init__(self, texts: EmbedTexts, library: Library, scratch: range, name: str) -> None:
        self._texts, self._library, self._name = texts, library, name
        self._holders = library.holders
        self._free = list(scratch)
        self._waiting: deque[tuple[Job, int]] = deque()
        self._reading: list[_Reading] = []
        self._ended: list[Job] = []

    def embed_job(self, request: EmbedRequest, adapters: tuple[AdapterRef, ...]) -> EmbedJob:
        return self._texts.embed_job(request, adapters)

    def rank_job(self, request: RerankRequest) -> NoReturn:
        raise Unsupported(
            f"{self._name} cannot rank documents.",
            "The transformers backend has no ranking heads.",
            "Use a GGUF file of a reranking model.",
            param="model",
        )

    def begin(self, job: TextJob) -> None:
        assert isinstance(job, Job)
        self._waiting.extend((job, index) for index in range(len(job.inputs)))
        if job.done:
            self._ended.append(job)

    def cancel(self, job: TextJob) -> None:
        assert isinstance(job, Job)
        self._drop(job)
        if job in self._ended:
            self._ended.remove(job)

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._reading or self._ended)

    def release_if_idle(self, seconds: float) -> bool:
        return False

    def step(self) -> tuple[TextJob, ...]:
        """One pass. One that is broken off is computed again by the next step."""
        self._admit()
        if self._reading:
            try:
                self._compute()
            except Interrupted:
                pass
            except HearthError as error:
                for job in {reading.job for reading in self._reading}:
                    job.error = error
                    self._ended.append(job)
                    self._drop(job)
        ended, self._ended = tuple(self._ended), []
        return ended

    def _admit(self) -> None:
        """Take in as many waiting texts as there are holders for, all under the same adapters."""
        while self._waiting and self._free:
            job, index = self._waiting[0]
            if self._reading and self._reading[0].job.adapters != job.adapters:
                return
            self._waiting.popleft()
            wanted = job.wanted(index)
            # Nothing before depends on what comes after.
            tokens = job.inputs[index][: wanted.stop]
            self._reading.append(_Reading(job, index, self._free.pop(), tokens, wanted))

    def _compute(self) -> None:
        left = _STEP
        parts: list[tuple[_Reading, Part]] = []
        for reading in self._reading:
            tokens = reading.tokens[reading.computed : reading.computed + left]
            if tokens:
                left -= len(tokens)
                parts.append((reading, Part(reading.holder, tokens, reading.computed)))
        with self._library.adapters.meanwhile(self._reading[0].job.adapters):
            states = self._library.states([part for _, part in parts])
        at = 0
        for reading, part in parts:
            first, reading.computed = reading.computed, reading.computed + len(part.tokens)
            self._holders.advanced(reading.holder, reading.computed)
            own, at = states[at : at + len(part.tokens)], at + len(part.tokens)
            wanted = reading.wanted
            rows = own[max(0, wanted.start - first) : max(0, wanted.stop - first)]
            if len(rows):
                reading.job.take(reading.index, rows)
            if reading.computed == len(reading.tokens):
                self._leave(reading)
                reading.job.left -= 1
                if reading.job.done:
                    self._ended.append(reading.job)

    def _leave(self, reading: _Reading) -> None:
        self._reading.remove(reading)
        self._holders.cut(reading.holder, 0)
        self._free.append(reading.holder)

    def _drop(self, job: Job) -> None:
        self._waiting = deque(each for each in self._waiting if each[0] is not job)
        for reading in [each for each in self._reading if each.job is job]:
            self._leave(reading)

    def release(self) -> None:
        """Everything that was computed is gone: what is being read is read anew."""
        for reading in list(self._reading):
            self._leave(reading)
            reading.job.forget(reading.index)
            self._waiting.appendleft((reading.job, reading.index))


def pooling_of(folder: ModelFolder) -> Pooling:
    """The pooling that the folder was trained for, where it says so (`1_Pooling`); else the mean."""
    try:
        said: Any = msgspec.json.decode((folder.path / "1_Pooling" / "config.json").read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return "mean"
    if isinstance(said, dict):
        if said.get("pooling_mode_cls_token"):
            return "cls"
        if said.get("pooling_mode_lasttoken"):
            return "last"
    return "mean"
