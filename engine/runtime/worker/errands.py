"""What a model is asked beside generation, while it is loaded: questions about text, embeddings, rankings.

Text is dealt with by the helper threads at once. Vectors and scores are computed by the runner's loop, a batch between
two steps of the sequences; while somebody at a screen waits for a first token they wait too.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from msgspec import Struct

from engine.errors import HearthError, InternalError, QueueFull
from engine.runtime.backends.base import StepBackend, TextJob
from engine.runtime.wire import Count, Detokenize, Embed, Question, Render, Reply, Rerank, Tokenize
from engine.runtime.worker.intake import Intake
from engine.types import Embeddings

RELEASE_AFTER = 60.0
"""Seconds after which the memory for reading texts is given back."""


class Reading(Struct, frozen=True):
    """A job of the model's text reader, and the call that waits for it."""

    call: int
    job: TextJob


class Errands:
    """See the module. `prepare` may be called from any thread, the rest is for the runner's."""

    def __init__(
        self,
        backend: StepBackend,
        intake: Intake,
        reply: Callable[[Reply], None],
        resized: Callable[[], None],
        most: int | None,
    ) -> None:
        self._backend, self._intake, self._reply, self._resized = backend, intake, reply, resized
        self._most = most
        """Calls whose texts may wait or be read at once; None: no bound."""
        self._running: dict[int, TextJob] = {}

    def prepare(self, question: Question) -> Reading | None:
        """Answer `question`, or make the job that has to be read for it."""
        try:
            match question:
                case Embed():
                    texts = self._backend.texts
                    return Reading(question.call, texts.embed_job(question.request, question.adapters))
                case Rerank():
                    return Reading(question.call, self._backend.texts.rank_job(question.request))
                case Tokenize() | Detokenize() | Render() | Count():
                    self._reply(self._intake.answer(question))
        except HearthError as error:
            self._reply(Reply(question.call, error=error.info))
        except Exception as error:
            traceback.print_exc()
            self._reply(Reply(question.call, error=InternalError("The call failed.", str(error)).info))
        return None

    def refuse(self, reading: Reading, error: HearthError) -> None:
        """Answer a call with `error`."""
        self._reply(Reply(reading.call, error=error.info))

    def begin(self, reading: Reading) -> None:
        """Take texts in. Where too many calls wait already, this one is refused."""
        if self._most is not None and len(self._running) >= self._most:
            self.refuse(
                reading,
                QueueFull(
                    f"{len(self._running)} calls with texts to be read already wait for this model.",
                    f"It lets {self._most} wait.",
                    "Send more texts in one call, try again later, or raise runtime.queue_api.",
                ),
            )
            return
        self._running[reading.call] = reading.job
        self._backend.texts.begin(reading.job)

    def forget(self, call: int) -> None:
        """Nobody waits for `call` any more."""
        job = self._running.pop(call, None)
        if job is not None:
            self._backend.texts.cancel(job)

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def step(self) -> None:
        """Compute one batch, and answer the calls that are done."""
        had_memory = self._backend.texts.holds_memory
        ended_jobs = self._backend.texts.step()
        if self._backend.texts.holds_memory != had_memory:
            self._resized()
        for ended in ended_jobs:
            call = next(call for call, job in self._running.items() if job is ended)
            del self._running[call]
            self._reply(self._answer(call, ended))

    def _answer(self, call: int, job: TextJob) -> Reply:
        if job.error is not None:
            return Reply(call, error=job.error.info)
        answer = job.answer(self._backend.facts.name)
        if isinstance(answer, Embeddings):
            return Reply(call, embeddings=answer)
        return Reply(call, ranking=answer)

    def pause(self) -> float | None:
        """Seconds until memory may be given back that nobody uses; None: there is none."""
        return RELEASE_AFTER if self._backend.texts.holds_memory and not self.busy else None

    def tidy(self) -> None:
        """Give back memory that was not used for a while."""
        if not self.busy and self._backend.texts.release_if_idle(RELEASE_AFTER):
            self._resized()
