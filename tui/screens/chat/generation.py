"""One answer on its way: the engine's events, drained on the screen's clock, written into a message.

    generation = Generation(conversation, node, request, engine=connection.ready)
    pieces = generation.poll()      # every tick: what came since, as text for the screen
    generation.stop()               # any time; the text so far stays

Knows no widget. While the engine is still starting the request waits here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from engine import Engine, Stream
from engine.errors import ErrorInfo, HearthError, InternalError
from engine.types import (
    Admitted,
    Delta,
    Done,
    Failed,
    Finished,
    GenerationRequest,
    Loading,
    Prefill,
    Queued,
    StreamEvent,
    Timings,
    Usage,
)
from tui.screens.chat.conversation import Conversation, Node

Stage = Literal[
    "starting", "waiting", "queued", "loading", "prefill", "thinking", "writing", "stopping", "ended"
]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a generation is. `fraction` is of the stage, None where nobody knows."""

    stage: Stage
    detail: str = ""
    fraction: float | None = None


class Generation:
    """A running request and the message that it writes.

    `engine` gives the engine, None while it starts, and raises what kept it from starting.
    """

    def __init__(
        self,
        conversation: Conversation,
        node: Node,
        request: GenerationRequest,
        engine: Callable[[], Engine | None],
    ) -> None:
        self.conversation = conversation
        self.node = node
        self.request = request
        self.progress = Progress("starting")
        self.tokens = 0
        """Tokens sampled so far."""
        self.prompt_tokens = 0
        self._engine = engine
        self._stream: Stream | None = None
        self._asked_ns = time.monotonic_ns()
        self._first_ns = self._last_ns = 0
        self._stop_asked = False
        self._before = node.usage

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.progress.stage == "ended"

    @property
    def rate(self) -> float | None:
        """Tokens per second after the first, so far."""
        if self.tokens < 2 or self._last_ns <= self._first_ns:
            return None
        return (self.tokens - 1) * 1e9 / (self._last_ns - self._first_ns)

    @property
    def ttft_s(self) -> float | None:
        """Seconds from asking to the first token, once it is there."""
        return (self._first_ns - self._asked_ns) / 1e9 if self._first_ns else None

    def begin(self) -> None:
        """Hand the request to the engine if it has started; else the next poll tries again."""
        if self._stream is not None or self.ended:
            return
        try:
            engine = self._engine()
            if engine is not None:
                self._stream = engine.generate(self.request)
                self.progress = Progress("waiting")
        except HearthError as error:
            self._fail(error.info)
        except Exception as error:  # an engine that breaks must not take the screen with it
            self._fail(
                InternalError("The request could not be started.", f"{type(error).__name__}: {error}").info
            )

    def stop(self) -> None:
        """Ask the engine to end it now; what was written stays and is marked as stopped."""
        if self.ended or self._stop_asked:
            return
        self._stop_asked = True
        if self._stream is None:
            self._end_stopped()
        else:
            self.progress = Progress("stopping")
            self._stream.cancel()

    def poll(self) -> list[tuple[bool, str]]:
        """Take in what came since the last call: (is reasoning, text) of each piece, already in the message."""
        self.begin()
        if self._stream is None or self.ended:
            return []
        pieces: list[tuple[bool, str]] = []
        try:
            for event in self._stream.drain():
                self._take(event, pieces)
        except Exception as error:
            self._fail(InternalError("The answer broke off.", f"{type(error).__name__}: {error}").info)
        self.node.content += "".join(text for thinking, text in pieces if not thinking)
        self.node.reasoning += "".join(text for thinking, text in pieces if thinking)
        return pieces

    def _take(self, event: StreamEvent, pieces: list[tuple[bool, str]]) -> None:
        match event:
            case Delta():
                self._count(event)
                if event.text:
                    pieces.append((event.kind == "reasoning", event.text))
            case Queued():
                self._at(Progress("queued", str(event.position)))
            case Loading():
                self._at(Progress("loading", event.stage, event.fraction))
            case Admitted():
                self.prompt_tokens = event.prompt_tokens
                self.node.dropped = event.dropped_messages
                self.node.context = event.context
                self._at(Progress("prefill"))
            case Prefill():
                self._at(Progress("prefill", "", event.done / event.total if event.total else None))
            case Finished():
                self.node.finish = event.reason
            case Done():
                self.node.model = event.model or self.node.model
                self._close(event.usage, event.timings)
                self.node.stopped = event.reason == "cancelled"
            case Failed():
                self._close(event.usage, event.timings)
                self.node.error = event.error

    def _count(self, delta: Delta) -> None:
        if delta.tokens:
            self.tokens += delta.tokens
            self._last_ns = delta.t_ns
            self._first_ns = self._first_ns or delta.t_ns
        self._at(Progress("thinking" if delta.kind == "reasoning" else "writing"))

    def _at(self, progress: Progress) -> None:
        if not self._stop_asked:
            self.progress = progress

    def _close(self, usage: Usage, timings: Timings) -> None:
        before = self._before
        if self.request.continue_last and before is not None:
            # The earlier part is prompt to the engine; to the reader the message is one answer.
            written = before.completion_tokens + usage.completion_tokens
            usage = msgspec.structs.replace(usage, completion_tokens=written)
        self.node.usage, self.node.timings = usage, timings
        self.progress = Progress("ended")

    def _fail(self, error: ErrorInfo) -> None:
        self.node.error = error
        self.progress = Progress("ended")

    def _end_stopped(self) -> None:
        self.node.stopped = True
        self.progress = Progress("ended")
