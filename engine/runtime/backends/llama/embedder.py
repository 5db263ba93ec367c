"""Reads texts for their vectors or scores, on a second context over the weights that chat with.

The chat's KV cache is not touched; the second context is made when the first text comes and freed when nobody
has asked for a while. It is stepped like the chat, on the same thread: each step computes one batch of bounded
size, with as many texts of as many requests as fit into it.

Whatever is causal is read in pieces, and only the last piece of a text asks for rows where only those count.
Encoders see a text in both directions and so must read it in one step.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from engine.errors import HearthError, InternalError
from engine.runtime.backends.embedding.jobs import Job
from engine.runtime.backends.llama.adapters import Adapters
from engine.runtime.backends.llama.embed_context import STEP, EmbedContext, reads_whole
from engine.runtime.backends.llama.library import last_reason
from engine.runtime.backends.llama.model import Shape
from engine.types import LoadOptions

_NO_ROOM: Final = 1
_INTERRUPTED: Final = 2


class StopFlag(Protocol):
    """What ends a running batch early: the library polls `callback`."""

    callback: tuple[Any, Any]

    def take(self) -> bool:
        """Whether the flag was up; it is down afterwards."""
        ...


class _Reading(Struct, eq=False):
    """A text in its slot; the first `computed` of its tokens are read."""

    job: Job
    index: int
    slot: int
    tokens: tuple[int, ...]
    wanted: range
    computed: int = 0


class Embedder:
    """Made with a loaded model, which must outlive it, and the context that it chats in (native handles).

    `begin` a job, then `step` until it comes out of one. Used from one thread.
    """

    def __init__(
        self,
        model: int,
        chat: int,
        name: str,
        shape: Shape,
        options: LoadOptions,
        adapters: Adapters,
        flag: StopFlag,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model, self._name, self._shape, self._options = model, name, shape, options
        self._adapters, self._flag, self._clock = adapters, flag, clock
        self._whole = reads_whole(chat)
        self._context: EmbedContext | None = None
        self._waiting: deque[tuple[Job, int]] = deque()
        self._reading: list[_Reading] = []
        self._ended: list[Job] = []
        self._last_used = clock()

    # --- jobs

    def begin(self, job: Job) -> None:
        """Take a job in. One without inputs comes out of the next step."""
        self._last_used = self._clock()
        self._waiting.extend((job, index) for index in range(len(job.inputs)))
        if job.done:
            self._ended.append(job)

    def cancel(self, job: Job) -> None:
        """Drop a job; it does not come out of a step any more."""
        self._drop(job)
        if job in self._ended:
            self._ended.remove(job)

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._reading or self._ended)

    @property
    def holds_memory(self) -> bool:
        """Whether there is a second context now."""
        return self._context is not None

    @property
    def log(self) -> list[str]:
        """The library's lines of opening the context, with the sizes of its buffers."""
        return [] if self._context is None else self._context.log

    # --- one step

    def step(self) -> tuple[Job, ...]:
        """Compute one batch; the jobs that ended with it, each with its answer or its error.

        A batch that is interrupted is computed again by the next step. Errors stay with the jobs whose texts
        were in the batch.
        """
        self._last_used = self._clock()
        self._admit()
        if self._context is not None and self._reading:
            self._compute(self._context)
            self._last_used = self._clock()
        ended, self._ended = tuple(self._ended), []
        return ended

    def _admit(self) -> None:
        """Give slots to as many waiting texts as go together with those that have one."""
        while self._waiting:
            job, index = self._waiting[0]
            tokens, wanted = job.inputs[index], job.wanted(index)
            if not self._reading:
                try:
                    self._prepare(job, len(tokens))
                except HearthError as error:
                    self._fail(job, error)
                    continue
            context = self._context
            if context is None or not self._takes(context, job, len(tokens)):
                return
            if not context.whole:
                # Nothing before depends on what comes after.
                tokens = tokens[: wanted.stop]
            used = {reading.slot for reading in self._reading}
            slot = next(slot for slot in range(context.slots) if slot not in used)
            self._waiting.popleft()
            self._reading.append(_Reading(job, index, slot, tokens, wanted))

    def _prepare(self, job: Job, needed: int) -> None:
        """A context that is large enough, with the adapters of the job. Nothing is in it now."""
        context = self._context
        if context is None or context.head != job.head or context.capacity < needed:
            self._free()
            self._context = context = EmbedContext(
                self._model,
                self._name,
                job.head,
                needed,
                self._shape,
                self._options,
                self._flag.callback,
                whole=self._whole,
            )
        context.lay(job.adapters, self._adapters)

    def _takes(self, context: EmbedContext, job: Job, needed: int) -> bool:
        if not self._reading:
            return True
        used = sum(len(reading.tokens) for reading in self._reading)
        room = STEP if context.whole else context.capacity
        return (
            len(self._reading) < context.slots
            and used + needed <= room
            and job.head == context.head
            and job.adapters == context.adapters
        )

    def _compute(self, context: EmbedContext) -> None:
        gives = context.whole or not any(each.computed < each.wanted.start for each in self._reading)
        parts = self._fill(context, gives=gives)
        code = context.compute(gives=gives)
        if code == 0:
            self._flag.take()
            self._take_rows(context, parts, gives=gives)
            return
        if code == _INTERRUPTED:
            self._flag.take()
            self._put_back(self._reading)
        elif code == _NO_ROOM and len(self._reading) > 1:
            self._put_back(self._reading[len(self._reading) // 2 :])
        else:
            error = InternalError("llama.cpp could not read the texts.", f"{last_reason()} (code {code})")
            for reading, _ in parts:
                self._fail(reading.job, error)
            self.release()

    def _fill(self, context: EmbedContext, *, gives: bool) -> list[tuple[_Reading, int]]:
        """Fill the batch; the texts in it, each with its number of tokens there."""
        batch = context.batch
        batch.clear()
        room = min(batch.capacity, context.rows) if gives else batch.capacity
        parts = []
        for reading in self._reading:
            end = len(reading.tokens) if gives else reading.wanted.start
            start = reading.computed
            count = min(end - start, room - batch.size)
            if count > 0:
                batch.add(reading.slot, reading.tokens[start : start + count], start, outputs=0)
                parts.append((reading, count))
        if gives:
            batch.want_all()
        return parts

    def _take_rows(self, context: EmbedContext, parts: list[tuple[_Reading, int]], *, gives: bool) -> None:
        states = context.states() if gives and context.head == "states" else None
        at = 0
        for reading, count in parts:
            first, reading.computed = reading.computed, reading.computed + count
            if states is not None:
                wanted = reading.wanted
                rows = states[at : at + count][max(0, wanted.start - first) : max(0, wanted.stop - first)]
                if len(rows):
                    reading.job.take(reading.index, rows.copy())
            at += count
        finished = [reading for reading, _ in parts if reading.computed == len(reading.tokens)]
        for reading in finished:
            if context.head == "rank":
                reading.job.take(reading.index, context.score(reading.slot))
            self._reading.remove(reading)
            reading.job.left -= 1
            if reading.job.done:
                self._ended.append(reading.job)
        context.forget([reading.slot for reading in finished])

    # --- what goes wrong, and the end

    def _put_back(self, readings: Sequence[_Reading]) -> None:
        """Read these from their start, later."""
        back = list(readings)
        if self._context is not None:
            self._context.forget([reading.slot for reading in back])
        for reading in back:
            reading.job.forget(reading.index)
        self._reading = [reading for reading in self._reading if reading not in back]
        self._waiting.extendleft((reading.job, reading.index) for reading in reversed(back))

    def _fail(self, job: Job, error: HearthError) -> None:
        if job.error is None:
            job.error = error
            self._ended.append(job)
        self._drop(job)

    def _drop(self, job: Job) -> None:
        self._waiting = deque(each for each in self._waiting if each[0] is not job)
        gone = [reading for reading in self._reading if reading.job is job]
        if self._context is not None:
            self._context.forget([reading.slot for reading in gone])
        self._reading = [reading for reading in self._reading if reading.job is not job]

    def release(self) -> None:
        """Free the second context; what is being read is read anew, on another one."""
        self._put_back(self._reading)
        self._free()

    def release_if_idle(self, seconds: float) -> bool:
        """Free the second context if no text was read for so long; whether it is free now."""
        if not self.busy and self._clock() - self._last_used >= seconds:
            self._free()
        return self._context is None

    def _free(self) -> None:
        if self._context is not None:
            self._context.free()
        self._context = None
