"""One answer on its way: the engine's events, drained on the screen's clock, written into a message.

    generation = Generation(conversation, node, request, engine=connection.ready)
    pieces = generation.poll()      # every tick: what came since, as text for the screen
    generation.stop()               # any time; the text so far stays

Knows no widget. While the engine is still starting the request waits here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

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
    Shifted,
    StreamEvent,
    Timings,
    ToolCall,
    ToolDelta,
    Usage,
)
from tui.asking import adapters
from tui.screens.chat.conversation import Conversation, Node
from tui.telling import waiting

Stage = Literal[
    "starting",
    "waiting",
    "queued",
    "loading",
    "prefill",
    "thinking",
    "writing",
    "calling",
    "stopping",
    "ended",
]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a generation is. `fraction` is of the stage, None where nobody knows."""

    stage: Stage
    detail: str = ""
    fraction: float | None = None


class Generation:
    """A running request and the message that it writes.

    `engine` gives the engine, None while it starts, and raises what kept it from starting. `adapters_of_model` are
    the names that people know the files of its adapters by.
    """

    def __init__(
        self,
        conversation: Conversation,
        node: Node,
        request: GenerationRequest,
        engine: Callable[[], Engine | None],
        adapters_of_model: Collection[str] = (),
    ) -> None:
        self.conversation = conversation
        self.node = node
        self.request = request
        self._adapters_of_model = adapters_of_model
        self.progress = Progress("starting")
        self.tokens = 0
        """Tokens sampled so far."""
        self.prompt_tokens = 0
        self._engine = engine
        self._stream: Stream | None = None
        self._asked_ns = time.monotonic_ns()
        self._first_ns = self._last_ns = 0
        self._stop_asked = False
        self._written_before = node.written if request.continue_last else 0
        self._thought = _Thought(node)
        self._calls: dict[int, _Call] = {}

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.progress.stage == "ended"

    @property
    def stopped(self) -> bool:
        """Whether somebody asked for its end."""
        return self._stop_asked

    @property
    def rate(self) -> float | None:
        """Tokens per second after the first, so far."""
        if self.tokens < 2 or self._last_ns <= self._first_ns:
            return None
        return (self.tokens - 1) * 1e9 / (self._last_ns - self._first_ns)

    @property
    def ttft_s(self) -> float | None:
        """Seconds from asking to the first token, once it is there; None from an engine of another clock."""
        return (self._first_ns - self._asked_ns) / 1e9 if self._first_ns > self._asked_ns else None

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
        if self._calls:
            taken: set[str] = set()
            self.node.tool_calls = [
                self._calls[index].whole(self.node, taken) for index in sorted(self._calls)
            ]
        return pieces

    def _take(self, event: StreamEvent, pieces: list[tuple[bool, str]]) -> None:
        match event:
            case Delta():
                self._count(event)
                if event.text:
                    pieces.append((event.kind == "reasoning", event.text))
            case ToolDelta():
                self._call(event)
            case Shifted():
                self.node.shifted += event.dropped
            case Queued():
                self._at(Progress("queued", waiting.queued(event.position, event.eta_s)))
            case Loading():
                self._at(Progress("loading", event.stage, event.fraction))
            case Admitted():
                self.prompt_tokens = event.prompt_tokens
                self.node.dropped, self.node.dropped_tokens = event.dropped_messages, event.dropped_tokens
                self.node.context, self.node.context_asked = event.context, self.request.load.context
                self.node.miss = event.miss
                self._at(Progress("prefill"))
            case Prefill():
                self._at(Progress("prefill", "", event.done / event.total if event.total else None))
            case Finished():
                self.node.finish = event.reason
            case Done():
                self.node.model = event.model or self.node.model
                self.node.adapters = adapters.named(
                    event.adapters, self.request.adapters, self.request.model, self._adapters_of_model
                )
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
        thinks = delta.kind == "reasoning"
        if thinks:
            self._thought.goes_on(delta.t_ns, delta.tokens)
        elif delta.text:
            self._thought.ends(delta.t_ns)
        # A delta without text says nothing of what is written: text was held back.
        if thinks or delta.text or self.progress.stage == "prefill":
            self._at(Progress("thinking" if thinks else "writing"))

    def _call(self, delta: ToolDelta) -> None:
        self._thought.ends(delta.t_ns)
        call = self._calls.setdefault(delta.index, _Call(delta.index))
        call.id, call.name = delta.id or call.id, delta.name or call.name
        call.pieces.append(delta.arguments)
        self._at(Progress("calling", call.name))

    def _at(self, progress: Progress) -> None:
        if not self._stop_asked:
            self.progress = progress

    def _close(self, usage: Usage, timings: Timings) -> None:
        if usage.reasoning_tokens and not self.request.continue_last:
            self.node.thought_tokens = usage.reasoning_tokens
        self.node.written_before = self._written_before
        self.node.usage, self.node.timings = usage, timings
        self.progress = Progress("ended")

    def _fail(self, error: ErrorInfo) -> None:
        self.node.error = error
        self.progress = Progress("ended")

    def _end_stopped(self) -> None:
        self.node.stopped = True
        self.progress = Progress("ended")


class _Thought:
    """Counts the thinking of a message; what was thought before it was continued stays counted."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._before, self._began, self._over = node.thought_ns, 0, False

    def goes_on(self, t_ns: int, tokens: int) -> None:
        """More thinking came at `t_ns`."""
        self._began = self._began or t_ns
        self._node.thought_tokens += tokens
        self._node.thought_ns = self._before + t_ns - self._began

    def ends(self, t_ns: int) -> None:
        """Something else came: it was thought until then."""
        if self._began and not self._over:
            self._over = True
            self._node.thought_ns = self._before + t_ns - self._began


class _Call:
    """A tool call as far as it has come. Pieces are joined once a look, however many came."""

    def __init__(self, index: int) -> None:
        self._index = index
        self.id = self.name = self._arguments = ""
        self.pieces: list[str] = []

    def whole(self, node: Node, taken: set[str]) -> ToolCall:
        """The call; one without an id, or with that of another (`taken`), gets one of its own."""
        if self.pieces:
            self._arguments += "".join(self.pieces)
            self.pieces.clear()
        name = self.id if self.id and self.id not in taken else f"{node.id}-{self._index}"
        taken.add(name)
        return ToolCall(id=name, name=self.name, arguments=self._arguments)
