"""An engine that plays recordings: same models, same answers, same figures every time, no process and no clock.

For screenshots and for tests of panes. A stream hands out events by the number of looks at it, never by time:
each `drain` gives the next `per_drain` events, or with `hold` only those that `release` has let go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec.structs import replace

from engine import LocalConversations
from engine.errors import HearthError, ModelNotFound
from engine.settings import Settings
from engine.types import (
    Capabilities,
    Delta,
    Done,
    Estimate,
    Failed,
    Finished,
    Fit,
    GenerationRequest,
    Hardware,
    HardwarePoint,
    HubCard,
    HubFiles,
    HubModel,
    LoadedModel,
    LoadOptions,
    LogLine,
    MemoryUse,
    Message,
    ModelEntry,
    ModelFacts,
    ModelReading,
    PullState,
    RunningRequest,
    StreamEvent,
    Terminal,
    Thinking,
    Tool,
    Usage,
)
from tui.recorded_hub import RecordedHub
from tui.recorded_jobs import RecordedJobs
from tui.recorded_metrics import RecordedMetrics
from tui.recorded_names import RecordedNames
from tui.recordings import Answer, estimate_of, events_of, timings

Answers = Answer | Callable[[GenerationRequest], Answer]


class RecordedStream:
    """See `engine.face.Stream`."""

    def __init__(
        self, request: GenerationRequest, events: Sequence[StreamEvent], per_drain: int, hold: bool
    ) -> None:
        self.id = request.id
        self.request = request
        self._coming: deque[StreamEvent] = deque(events)
        self._per_drain = per_drain
        self._free = 0 if hold else len(self._coming)
        self._sent: list[StreamEvent] = []
        self.ended = False

    def release(self, count: int | None = None) -> None:
        """Let `count` more events go; all of them without one."""
        self._free += len(self._coming) if count is None else count

    def drain(self) -> list[StreamEvent]:
        """The next few events."""
        return [self._next() for _ in range(min(self._per_drain, self._free, len(self._coming)))]

    def cancel(self) -> None:
        """End now: what was not sent is dropped."""
        if not self.ended and not any(
            isinstance(event, Done) and event.reason == "cancelled" for event in self._coming
        ):
            sent = sum(event.tokens for event in self._sent if isinstance(event, Delta))
            seq = len(self._sent)
            usage = Usage(prompt_tokens=24, completion_tokens=sent)
            self._coming = deque(
                [
                    Finished(seq=seq, reason="cancelled"),
                    Done(
                        seq=seq + 1,
                        reason="cancelled",
                        usage=usage,
                        timings=timings(max(2, sent)),
                        model=self.request.model,
                        backend="scripted",
                    ),
                ]
            )
            self._free = 2

    async def __aiter__(self) -> AsyncIterator[StreamEvent]:
        while not self.ended:
            if self._free and self._coming:
                yield self._next()
            # One that is held leaves the processor to whoever will release it.
            await asyncio.sleep(0 if self._free else 0.002)

    async def wait(self) -> Terminal:
        """The terminal event."""
        async for event in self:
            if isinstance(event, Done | Failed):
                return event
        last = self._sent[-1]
        assert isinstance(last, Done | Failed)
        return last

    def _next(self) -> StreamEvent:
        event = self._coming.popleft()
        self._free -= 1
        self._sent.append(event)
        self.ended = isinstance(event, Done | Failed)
        return event


class RecordedEngine(RecordedHub, RecordedNames):
    """See `engine.face.Engine`. Everything it tells is a public attribute that a test may set."""

    def __init__(
        self,
        *,
        answer: Answers = "The capital of France is Paris.",
        entries: Sequence[ModelEntry] = (),
        loaded: Sequence[LoadedModel] = (),
        lines: Sequence[LogLine] = (),
        per_drain: int = 1_000_000,
        hold: bool = False,
        machine: Hardware | None = None,
        points: Sequence[HardwarePoint] = (),
        hub: Sequence[HubModel] = (),
        files: Sequence[HubFiles] = (),
        cards: Sequence[HubCard] = (),
        pulls: Sequence[PullState] = (),
        interrupted: Sequence[PullState] = (),
    ) -> None:
        RecordedHub.__init__(self, hub, files, cards, pulls, interrupted)
        RecordedNames.__init__(self)
        self.machine = machine if machine is not None else Hardware(t_unix=0.0)
        self.points = list(points)
        self.looks = 0
        """How often the machine was read."""
        self.answer = answer
        self.entries = list(entries)
        self.resident = {model.id: model for model in loaded}
        self.lines = list(lines)
        self.per_drain, self.hold = per_drain, hold
        self.context = 8192
        self.requests: list[GenerationRequest] = []
        self.streams: list[RecordedStream] = []
        self.aside: Answer = ""
        self.asides: list[RecordedStream] = []
        self.thinking: Literal["", "always", "switch", "levels"] = ""
        """What `facts` says of how every model thinks."""
        self.fail_load: HearthError | None = None
        self.fail_estimate: HearthError | None = None
        self.estimates: dict[str, Estimate] = {}
        """What `estimate` says of a model in place of the recorded figures."""
        self.estimated: list[str] = []
        """The models that it was asked about."""
        self.adopted: Settings | None = None
        """The settings that it was told to go by."""
        self.closed = False
        self.conversations = LocalConversations(None)
        """Kept in memory."""
        self.jobs = RecordedJobs()
        self.metrics = RecordedMetrics()

    def generate(self, request: GenerationRequest) -> RecordedStream:
        """Play the answer; to what is asked in passing, as a conversation's title is, `aside`."""
        if request.priority == "batch" and request.client == "tui":
            self.asides.append(
                RecordedStream(request, events_of(request, self.aside, self.context), 99, self.hold)
            )
            return self.asides[-1]
        request = replace(request, id=request.id or f"recorded-{len(self.requests) + 1}")
        self.requests.append(request)
        answer = self.answer(request) if callable(self.answer) else self.answer
        events = events_of(request, answer, self.context)
        stream = RecordedStream(request, events, self.per_drain, self.hold)
        self.streams.append(stream)
        return stream

    async def load(
        self,
        model: str,
        options: LoadOptions | None = None,
        *,
        keep_alive: float | None = None,
        force: bool = False,
    ) -> None:
        """Make it resident at once, against what `fail_load` says with `force`."""
        if self.fail_load is not None and not force:
            raise self.fail_load
        self._entry(model)
        self.resident[model] = LoadedModel(id=model, state="ready", memory=MemoryUse(resident=64 * 2**20))

    async def unload(self, model: str) -> bool:
        """Forget it."""
        return self.resident.pop(model, None) is not None

    async def cancel(self, request_id: str) -> bool:
        """Cancel its stream."""
        for stream in self.streams:
            if stream.id == request_id and not stream.ended:
                stream.cancel()
                return True
        return False

    async def estimate(self, model: str, options: LoadOptions | None = None) -> Estimate:
        """The recorded figures."""
        self.estimated.append(model)
        return self._estimated(model)

    def _estimated(self, model: str) -> Estimate:
        if self.fail_estimate is not None:
            raise self.fail_estimate
        return self.estimates.get(model) or estimate_of(self._entry(model))

    async def fits(
        self, models: Sequence[str] | None = None, options: LoadOptions | None = None
    ) -> list[Fit]:
        """By the recorded estimates."""
        names = models if models is not None else [entry.id for entry in self.entries if not entry.broken]
        found = [self._estimated(name) for name in names]
        return [
            Fit(
                model=each.model,
                verdict=each.verdict if each.fits else "too big",
                context=each.context,
                largest_context=each.largest_context,
            )
            for each in found
        ]

    def adopt(self, settings: Settings) -> None:
        """Keep them for whoever looks."""
        self.adopted = settings

    async def pin(self, model: str) -> None:
        """Mark it, if it is resident."""
        self._pin(model, True)

    async def unpin(self, model: str) -> None:
        """Take the mark off."""
        self._pin(model, False)

    def _pin(self, model: str, pinned: bool) -> None:
        self._entry(model)
        if model in self.resident:
            self.resident[model] = replace(self.resident[model], pinned=pinned)

    def running(self) -> list[RunningRequest]:
        """One for each stream that has not ended."""
        return [
            RunningRequest(
                id=stream.id,
                model=stream.request.model,
                client="",
                source="tui",
                priority="interactive",
                state="decode",
            )
            for stream in self.streams
            if not stream.ended
        ]

    def loaded(self) -> list[LoadedModel]:
        """The resident models."""
        return list(self.resident.values())

    async def models(self) -> list[ModelEntry]:
        """The recorded entries."""
        return list(self.entries)

    async def facts(self, model: str) -> ModelFacts:
        """Few, but true to the entry."""
        entry = self._entry(model)
        return ModelFacts(
            name=entry.id,
            architecture=entry.architecture,
            parameters=entry.parameters,
            quantisation=entry.quantisation,
            context=self.context,
            context_trained=entry.context or self.context,
            thinking=self.thinking,
            capabilities=Capabilities(
                backend="scripted", max_slots=4, modalities=frozenset(entry.modalities)
            ),
        )

    async def tokenize(self, model: str, text: str, *, special: bool = True) -> list[int]:
        """A byte a token."""
        return list(text.encode())

    async def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """The bytes again."""
        return bytes(tokens).decode("utf-8", "replace")

    async def pieces(self, model: str, tokens: Sequence[int]) -> list[bytes]:
        """A byte a token."""
        return [bytes((token,)) for token in tokens]

    async def render(
        self,
        model: str,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        open_turn: bool = True,
        thinking: Thinking | None = None,
        template_args: Mapping[str, Any] | None = None,
    ) -> str:
        """A line a message."""
        return "\n".join(f"{message.role}: {message.text}" for message in messages)

    async def count(self, request: GenerationRequest) -> int:
        """A byte a token."""
        return len((request.prompt or "\n".join(each.text for each in request.messages or ())).encode())

    async def hardware(self) -> Hardware:
        """The recorded reading, with the resident models."""
        self.looks += 1
        known = {reading.model.id: reading for reading in self.machine.models}
        readings = [
            replace(known[model.id], model=model)
            if model.id in known
            else ModelReading(model=model, resident=model.memory.resident)
            for model in self.resident.values()
        ]
        return replace(self.machine, models=tuple(readings))

    async def hardware_history(self, seconds: float) -> list[HardwarePoint]:
        """The recorded points of that time."""
        since = self.machine.t_unix - seconds
        return [point for point in self.points if point.t_unix >= since]

    async def request_log(self, limit: int = 100) -> list[dict[str, object]]:
        """The requests, newest first."""
        return [{"id": request.id, "model": request.model} for request in self.requests[::-1][:limit]]

    async def model_log(self, limit: int = 100) -> list[dict[str, object]]:
        """Nothing is recorded."""
        return []

    def logs(self, limit: int = 500) -> list[LogLine]:
        """The newest recorded lines."""
        return self.lines[-limit:]

    async def close(self) -> None:
        """Remember that it was asked."""
        self.closed = True
        await self.conversations.close()

    def _entry(self, model: str) -> ModelEntry:
        for entry in self.entries:
            if model == entry.id or model in [f"{entry.id}:{adapter}" for adapter in entry.adapters]:
                return entry
        for each in self.named:
            if each.name == model and each.alias is not None:
                return self._entry(each.alias.model)
        raise ModelNotFound(
            f"No model is called {model}.", "None of that name was found.", "Look in Models (alt+2)."
        )
