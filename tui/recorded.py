"""An engine that plays recordings: same models, same answers, same figures every time, no process and no clock.

For screenshots and for tests of panes. A stream hands out events by the number of looks at it, never by time:
each `drain` gives the next `per_drain` events, or with `hold` only those that `release` has let go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from msgspec.structs import replace

from engine.errors import HearthError, ModelNotFound
from engine.types import (
    Admitted,
    Capabilities,
    Delta,
    DeviceNeed,
    Done,
    Estimate,
    Failed,
    Finished,
    GenerationRequest,
    LoadedModel,
    LoadOptions,
    LogLine,
    MemoryUse,
    Message,
    ModelEntry,
    ModelFacts,
    Prefill,
    RunningRequest,
    StreamEvent,
    Terminal,
    Timings,
    Tool,
    Usage,
)

MS = 1_000_000
Answer = str | HearthError | Callable[[GenerationRequest], "str | HearthError"]


class RecordedStream:
    """See `engine.face.Stream`. Text within `<think>…</think>` is sent as reasoning."""

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
            await asyncio.sleep(0)

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


def timings(tokens: int, rate: float = 92.0, ttft_ms: int = 180) -> Timings:
    """Timings of a request that decoded `tokens` tokens at `rate` a second, `ttft_ms` after it was sent."""
    first = (20 + ttft_ms) * MS
    last = first + int((tokens - 1) / rate * 1e9)
    return Timings(
        submitted=20 * MS,
        admitted=22 * MS,
        first_prefill=25 * MS,
        first_token=first,
        last_token=last,
        ended=last + MS,
    )


def events_of(request: GenerationRequest, answer: str, context: int) -> list[StreamEvent]:
    """The events of a request that is answered with `answer`, a word a delta."""
    prompt = sum(len(message.text.split()) for message in request.messages or ()) + 20
    events: list[StreamEvent] = [
        Admitted(prompt_tokens=prompt, cached_tokens=min(8, prompt), context=context),
        Prefill(done=prompt, total=prompt),
    ]
    thought, _, spoken = answer.removeprefix("<think>").rpartition("</think>")
    count = 0
    for kind, text in (("reasoning", thought), ("content", spoken)):
        for piece in text.splitlines(keepends=True):
            for word in piece.replace(" ", " \0").split("\0"):
                if word:
                    count += 1
                    events.append(Delta(kind=kind, text=word, tokens=1))  # type: ignore[arg-type]
    usage = Usage(
        prompt_tokens=prompt,
        cached_tokens=min(8, prompt),
        completion_tokens=count,
        reasoning_tokens=len(thought.split()),
    )
    events += [
        Finished(reason="stop"),
        Done(
            reason="finished",
            usage=usage,
            timings=timings(max(2, count)),
            seed=1,
            model=request.model,
            backend="scripted",
        ),
    ]
    return [replace(event, seq=seq) for seq, event in enumerate(events)]


class RecordedEngine:
    """See `engine.face.Engine`. Everything it tells is a public attribute that a test may set."""

    def __init__(
        self,
        *,
        answer: Answer = "The capital of France is Paris.",
        entries: Sequence[ModelEntry] = (),
        loaded: Sequence[LoadedModel] = (),
        lines: Sequence[LogLine] = (),
        per_drain: int = 1_000_000,
        hold: bool = False,
    ) -> None:
        self.answer = answer
        self.entries = list(entries)
        self.resident = {model.id: model for model in loaded}
        self.lines = list(lines)
        self.per_drain, self.hold = per_drain, hold
        self.context = 8192
        self.requests: list[GenerationRequest] = []
        self.streams: list[RecordedStream] = []
        self.fail_load: HearthError | None = None
        self.closed = False

    def generate(self, request: GenerationRequest) -> RecordedStream:
        """Play the answer."""
        request = replace(request, id=request.id or f"recorded-{len(self.requests) + 1}")
        self.requests.append(request)
        answer = self.answer(request) if callable(self.answer) else self.answer
        events = (
            [Failed(seq=0, error=answer.info)]
            if isinstance(answer, HearthError)
            else events_of(request, answer, self.context)
        )
        stream = RecordedStream(request, events, self.per_drain, self.hold)
        self.streams.append(stream)
        return stream

    async def load(
        self, model: str, options: LoadOptions | None = None, *, keep_alive: float | None = None
    ) -> None:
        """Make it resident at once."""
        if self.fail_load is not None:
            raise self.fail_load
        self._entry(model)
        self.resident[model] = LoadedModel(id=model, state="ready", memory=MemoryUse(resident=64 * 2**20))

    async def estimate(self, model: str, options: LoadOptions | None = None) -> Estimate:
        """What the entry's size suggests; it fits."""
        entry = self._entry(model)
        need = DeviceNeed(device="CPU", weights=entry.size, free=16 * 2**30, capacity=32 * 2**30)
        context = (options.context if options is not None else None) or self.context
        return Estimate(
            model=model,
            context=context,
            slots=4,
            cells=4 * context,
            devices=(need,),
            resident=entry.size + 40 * 2**20,
            exact=True,
        )

    async def pin(self, model: str) -> None:
        """Mark it."""
        if model in self.resident:
            self.resident[model] = replace(self.resident[model], pinned=True)

    async def unpin(self, model: str) -> None:
        """Take the mark away."""
        if model in self.resident:
            self.resident[model] = replace(self.resident[model], pinned=False)

    async def unload(self, model: str) -> None:
        """Forget it."""
        self.resident.pop(model, None)

    async def cancel(self, request_id: str) -> bool:
        """Cancel its stream."""
        for stream in self.streams:
            if stream.id == request_id and not stream.ended:
                stream.cancel()
                return True
        return False

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
            capabilities=Capabilities(backend="scripted", max_slots=4),
        )

    async def tokenize(self, model: str, text: str, *, special: bool = True) -> list[int]:
        """A byte a token."""
        return list(text.encode())

    async def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """The bytes again."""
        return bytes(tokens).decode("utf-8", "replace")

    async def render(
        self, model: str, messages: Sequence[Message], tools: Sequence[Tool] = (), *, open_turn: bool = True
    ) -> str:
        """A line a message."""
        return "\n".join(f"{message.role}: {message.text}" for message in messages)

    async def count(self, request: GenerationRequest) -> int:
        """A byte a token."""
        return len((request.prompt or "\n".join(each.text for each in request.messages or ())).encode())

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

    def _entry(self, model: str) -> ModelEntry:
        for entry in self.entries:
            if entry.id == model:
                return entry
        raise ModelNotFound(
            f"No model is called {model}.", "None of that name was found.", "Look in Models (alt+2)."
        )


def entries() -> list[ModelEntry]:
    """Models as a well used machine has them, one broken file among them."""
    gib = 2**30

    def gguf(
        name: str,
        family: str,
        billions: float,
        quant: str,
        size: float,
        context: int,
        source: str,
        **rest: object,
    ) -> ModelEntry:
        return ModelEntry(
            id=name,
            path=f"/home/ada/models/{name}.gguf",
            format="gguf",
            source=source,
            size=int(size * gib),
            architecture=family,
            parameters=round(billions * 1e9),
            quantisation=quant,
            context=context,
            backends=("llama",),
            **rest,  # type: ignore[arg-type]
        )

    return [
        gguf(
            "ember",
            "llama",
            0.0031,
            "Q8_0",
            0.0035,
            2048,
            "starter",
            licence="Apache-2.0",
            adapters=("pirate",),
        ),
        gguf("qwen3-8b-instruct", "qwen3", 8.2, "Q4_K_M", 4.7, 40960, "ollama", licence="Apache-2.0"),
        gguf(
            "mistral-small-3.2-24b",
            "llama",
            23.6,
            "Q4_K_M",
            13.4,
            131072,
            "lmstudio",
            modalities=("text", "image"),
            licence="Apache-2.0",
        ),
        gguf(
            "gemma-3-12b-it-qat",
            "gemma3",
            12.2,
            "Q4_0",
            7.5,
            131072,
            "huggingface",
            modalities=("text", "image"),
        ),
        gguf(
            "llama-3.3-70b-instruct-with-a-name-that-goes-on-and-on-imatrix",
            "llama",
            70.6,
            "IQ3_XXS",
            25.6,
            131072,
            "folder",
        ),
        ModelEntry(
            id="smollm3-3b",
            path="/home/ada/.cache/huggingface/hub/models--HuggingFaceTB--SmolLM3-3B",
            format="safetensors",
            source="huggingface",
            size=int(5.7 * gib),
            architecture="smollm3",
            parameters=3_080_000_000,
            quantisation="BF16",
            context=65536,
            licence="Apache-2.0",
            backends=("transformers", "mlx"),
        ),
        ModelEntry(
            id="phi-4-half-downloaded",
            path="/home/ada/models/phi-4.gguf",
            format="gguf",
            source="folder",
            size=int(1.2 * gib),
            broken="The file ends inside tensor 114 of 243: it was cut off. Download it again.",
        ),
    ]


def loaded() -> list[LoadedModel]:
    """One ready, one on its way in."""
    mib = 2**20
    return [
        LoadedModel(
            id="ember",
            state="ready",
            pid=4242,
            memory=MemoryUse(weights=4 * mib, kv_cache=12 * mib, compute=3 * mib, resident=61 * mib),
        ),
        LoadedModel(id="qwen3-8b-instruct", state="loading", pid=4243),
    ]


def lines() -> list[LogLine]:
    """A start, a load, a warning and an error."""
    said: list[tuple[str, str, str]] = [
        ("info", "hearth", "Hearth 0.1.0 on Python 3.11.9, 2 cores, 7.8 GiB"),
        ("debug", "settings", "read /home/ada/.config/hearth/config.toml"),
        ("info", "catalog", "7 models found in 4 places"),
        ("warning", "catalog", "phi-4.gguf is cut off: tensor 114 of 243 ends after the file"),
        ("info", "residency", "ember: granted, 61 MiB needed, 3.4 GiB free"),
        ("info", "worker", "ember: process 4242 started, llama backend"),
        ("debug", "ember", "llama_model_loader: loaded meta data with 27 key-value pairs and 29 tensors"),
        ("debug", "ember", "print_info: arch = llama, n_ctx_train = 2048, n_embd = 192, n_layer = 6"),
        ("debug", "ember", "load_tensors: CPU_Mapped model buffer size = 3.52 MiB"),
        ("info", "ember", "llama_context: n_ctx = 2048, n_batch = 512, KV self size = 12.00 MiB"),
        ("info", "hearth", "request 1: 24 prompt tokens, 61 completion tokens, 92.3 tok/s, TTFT 180 ms"),
        (
            "error",
            "smollm3-3b",
            "the transformers backend is not installed: pip install 'hearth[transformers]'",
        ),
        ("info", "worker", "qwen3-8b-instruct: process 4243 started, llama backend"),
    ]
    start = 1_763_700_000.0
    return [
        LogLine(t_unix=start + place * 1.7, level=level, origin=origin, text=text)  # type: ignore[arg-type]
        for place, (level, origin, text) in enumerate(said)
    ]
