"""One attempt of a job, while it runs: its events as they come, for whoever watches from any thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from engine.errors import DeadlineExceeded, ErrorInfo, HearthError, InternalError
from engine.jobs.backoff import wait
from engine.jobs.history import asked_in, exchange, text_of
from engine.jobs.records import joined
from engine.jobs.turns import End, Taken
from engine.types import Admitted, Done, EmbedRequest, Failed, StreamEvent

if TYPE_CHECKING:
    from engine.face import Engine, Stream
    from engine.settings import Jobs as JobSettings

_msgpack = msgspec.msgpack.Encoder()
_PASSING = frozenset({"deadline_exceeded", "insufficient_memory"})
"""Errors that are worth another attempt, beside those that say so themselves."""


class Attempt:
    """Made when a job is taken. `events` only grows; other threads may read it."""

    def __init__(self, taken: Taken) -> None:
        self.taken = taken
        self.job = taken.outcome.job
        self.events: list[StreamEvent] = []
        self.lost = False
        """Whether the job is not ours any more, so that nobody waits for the end."""
        self._stream: Stream | None = None
        self._task: asyncio.Task[End] | None = None

    def stop(self) -> None:
        """End it as soon as that can be."""
        self.lost = True
        if self._stream is not None:
            self._stream.cancel()
        elif self._task is not None:
            self._task.cancel()

    async def run(self, engine: Engine, settings: JobSettings) -> End:
        """Its end. Raises nothing."""
        self._task = asyncio.ensure_future(self._end(engine))
        try:
            end = await self._task
        except asyncio.CancelledError:
            end = self._ended(cancelled=True)
        except HearthError as error:
            end = self._failed(error.info, settings)
        except Exception as error:
            defect = InternalError("The job could not be run.", f"{type(error).__name__}: {error}.")
            end = self._failed(defect.info, settings)
        else:
            if end.error is not None:
                end = self._failed(end.error, settings)
        return end

    async def _end(self, engine: Engine) -> End:
        if self.taken.problem is not None:
            return self._ended(error=self.taken.problem)
        if self.taken.outcome.embed is not None:
            return await self._embed(engine, self.taken.outcome.embed)
        return await self._generate(engine)

    async def _embed(self, engine: Engine, request: EmbedRequest) -> End:
        request = msgspec.structs.replace(request, client=self._client, source="job", priority="batch")
        try:
            async with asyncio.timeout(self.job.timeout):
                found = await engine.embed(request)
        except TimeoutError:
            raise self._late() from None
        return self._ended(outcome=_msgpack.encode(found), result=f"{len(found.vectors)} vectors")

    async def _generate(self, engine: Engine) -> End:
        request = msgspec.structs.replace(
            asked_in(self.taken),
            id=f"job-{self.job.id}-{self.job.attempt}",
            client=self._client,
            source="job",
            priority="batch",
        )
        stream = self._stream = engine.generate(request)
        if self.lost:
            stream.cancel()
        # Waiting in line is no fault of the job's: time counts from when the model has taken it in.
        late = False
        try:
            async with asyncio.timeout(None) as clock:
                async for event in stream:
                    self.events.append(event)
                    if isinstance(event, Admitted):
                        clock.reschedule(asyncio.get_running_loop().time() + self.job.timeout)
        except TimeoutError:
            late = True
        finally:
            stream.cancel()
        if late:
            raise self._late()
        last = self.events[-1]
        if isinstance(last, Failed):
            return self._ended(error=last.error)
        if isinstance(last, Done) and last.reason == "cancelled":
            return self._ended(cancelled=True)
        end = self._ended(result=text_of(self.events))
        if self.job.conversation is None:
            return end
        return msgspec.structs.replace(
            end,
            conversation=self.job.conversation,
            parent=self.taken.leaf,
            messages=exchange(self.taken, self.events),
        )

    def _failed(self, error: ErrorInfo, settings: JobSettings) -> End:
        failures = self.job.failures + 1
        passing = error.retryable or error.code in _PASSING
        again = None
        if passing and failures < self.job.attempts:
            again = max(wait(failures, settings.backoff), error.retry_after_s or 0.0)
        return self._ended(error=error, again_s=again)

    def _ended(
        self,
        *,
        result: str = "",
        outcome: bytes | None = None,
        error: ErrorInfo | None = None,
        again_s: float | None = None,
        cancelled: bool = False,
    ) -> End:
        if outcome is None and self.events:
            outcome = _msgpack.encode(tuple(self.events) if self.taken.every_event else joined(self.events))
        return End(
            job=self.job.id,
            attempt=self.job.attempt,
            result=result,
            outcome=outcome,
            error=error,
            again_s=again_s,
            cancelled=cancelled,
        )

    def _late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            "The job took too long.",
            f"It was given {self.job.timeout:g} s.",
            "Raise jobs.timeout, or ask for less.",
        )

    @property
    def _client(self) -> str:
        return self.job.client or "jobs"
