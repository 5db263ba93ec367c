"""What the recorded engine tells: models of a well used machine, what is loaded, log lines, the events of an answer.

Every figure is the same each time, so that pictures and tests are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec.structs import replace

from engine.errors import HearthError
from engine.types import (
    AdapterRef,
    Admitted,
    CacheMiss,
    Delta,
    DeviceNeed,
    Done,
    Estimate,
    Failed,
    Finished,
    GenerationRequest,
    LoadedModel,
    LogLine,
    MemoryUse,
    ModelEntry,
    Prefill,
    StreamEvent,
    Timings,
    ToolCall,
    ToolDelta,
    Usage,
)

MS = 1_000_000
MIB, GIB = 2**20, 2**30


RATE = 92.0
TTFT_MS = 180


def moment(token: int) -> int:
    """When the token of that number came, ns; the request was sent at 20 ms."""
    return (20 + TTFT_MS) * MS + int(token / RATE * 1e9)


def timings(tokens: int, rate: float = RATE, ttft_ms: int = TTFT_MS) -> Timings:
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


Answer = str | HearthError | Sequence[StreamEvent]
"""What a request is answered with: a text, an error, or the very events."""


def events_of(request: GenerationRequest, answer: Answer, context: int) -> list[StreamEvent]:
    """The events of a request that is answered with `answer`, numbered.

    Of a text each word is a delta of one token, and what stands within `<think>…</think>` is reasoning.
    """
    if isinstance(answer, HearthError):
        return [Failed(seq=0, error=answer.info)]
    events = _spoken(request, answer, context) if isinstance(answer, str) else answer
    return [replace(event, seq=seq) for seq, event in enumerate(events)]


def _spoken(request: GenerationRequest, answer: str, context: int) -> list[StreamEvent]:
    thought, _, spoken = answer.removeprefix("<think>").rpartition("</think>")
    pieces = [
        *said(thought, kind="reasoning"),
        *said(spoken, after=len(words(thought))),
    ]
    return whole(request, pieces, context=context, reasoning=len(words(thought)))


def words(text: str) -> list[str]:
    """`text` cut behind each space and line, as the recorded tokens."""
    return [
        word
        for line in text.splitlines(keepends=True)
        for word in line.replace(" ", " \0").split("\0")
        if word
    ]


def said(
    text: str, *, kind: Literal["content", "reasoning"] = "content", after: int = 0
) -> list[StreamEvent]:
    """Deltas of `text`, a word a token, the first of them token number `after` of its answer."""
    return [
        Delta(kind=kind, text=word, tokens=1, t_ns=moment(number))
        for number, word in enumerate(words(text), after)
    ]


def called(*calls: ToolCall, after: int = 0) -> list[StreamEvent]:
    """The events of tool calls, the arguments in pieces of a few characters."""
    events: list[StreamEvent] = []
    for index, call in enumerate(calls):
        events.append(ToolDelta(index=index, id=call.id, name=call.name, t_ns=moment(after + len(events))))
        for start in range(0, len(call.arguments), 5):
            piece = call.arguments[start : start + 5]
            events.append(ToolDelta(index=index, arguments=piece, t_ns=moment(after + len(events))))
    return events


def whole(
    request: GenerationRequest,
    pieces: Sequence[StreamEvent],
    *,
    context: int = 8192,
    prompt: int = 0,
    cached: int = 8,
    miss: CacheMiss | None = None,
    dropped: tuple[int, int] = (0, 0),
    reasoning: int = 0,
    guesses: tuple[int, int] = (0, 0),
    adapters: tuple[AdapterRef, ...] | None = None,
) -> list[StreamEvent]:
    """`pieces` with the events before and behind them. `dropped` are messages and tokens, `guesses` hit and missed."""
    prompt = prompt or sum(len(message.text.split()) for message in request.messages or ()) + 20
    cached = min(cached, prompt)
    tokens = sum(piece.tokens for piece in pieces if isinstance(piece, Delta))
    tokens += sum(isinstance(piece, ToolDelta) for piece in pieces)
    calls = any(isinstance(piece, ToolDelta) for piece in pieces)
    usage = Usage(
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=tokens,
        reasoning_tokens=reasoning,
        draft_accepted=guesses[0],
        draft_rejected=guesses[1],
    )
    return [
        Admitted(
            prompt_tokens=prompt,
            cached_tokens=cached,
            miss=miss,
            dropped_messages=dropped[0],
            dropped_tokens=dropped[1],
            context=context,
        ),
        Prefill(done=prompt, total=prompt),
        *pieces,
        Finished(reason="tool_calls" if calls else "stop"),
        Done(
            reason="finished",
            usage=usage,
            timings=timings(max(2, tokens)),
            seed=1,
            model=request.model,
            adapters=(request.adapters or ()) if adapters is None else adapters,
            backend="scripted",
        ),
    ]


def estimate_of(entry: ModelEntry) -> Estimate:
    """What a load of the model would take on a machine of 16 GiB without a GPU."""
    free = 9 * GIB
    need = DeviceNeed(
        device="CPU",
        weights=entry.size,
        kv_cache=max(12 * MIB, entry.size // 5),
        compute=max(3 * MIB, entry.size // 40),
        free=free,
        capacity=16 * GIB,
    )
    fits = need.total < free
    return Estimate(
        model=entry.id,
        context=min(entry.context, 8192),
        slots=4,
        cells=4 * min(entry.context, 8192),
        devices=(need,),
        resident=need.total + 40 * MIB,
        exact=True,
        correction=1.0,
        fits=fits,
        advice="" if fits else "A window of 4096 tokens, or a smaller quantisation, would need less.",
    )


def entries() -> list[ModelEntry]:
    """Models as a well used machine has them, one broken file among them."""

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
            size=int(size * GIB),
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
            adapters=("pirate", "poet"),
            broken_adapters={
                "fancy": "It sets `use_dora`, which llama.cpp cannot do. Train it again without, or merge it."
            },
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
            size=int(5.7 * GIB),
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
            size=int(1.2 * GIB),
            broken="The file ends inside tensor 114 of 243: it was cut off. Download it again.",
        ),
    ]


def loaded() -> list[LoadedModel]:
    """One ready, one on its way in, with what was predicted for them."""
    known = {entry.id: estimate_of(entry) for entry in entries()}
    cpu = DeviceNeed(device="CPU", weights=4 * MIB, kv_cache=12 * MIB, compute=3 * MIB)
    return [
        LoadedModel(
            id="ember",
            state="ready",
            pid=4242,
            memory=MemoryUse(
                weights=4 * MIB, kv_cache=12 * MIB, compute=3 * MIB, resident=61 * MIB, devices=(cpu,)
            ),
            estimate=known["ember"],
        ),
        LoadedModel(id="qwen3-8b-instruct", state="loading", pid=4243, estimate=known["qwen3-8b-instruct"]),
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
            "the transformers backend is not installed: run `make setup-dev` in Hearth's checkout",
        ),
        ("info", "worker", "qwen3-8b-instruct: process 4243 started, llama backend"),
    ]
    start = 1_763_700_000.0
    return [
        LogLine(t_unix=start + place * 1.7, level=level, origin=origin, text=text)  # type: ignore[arg-type]
        for place, (level, origin, text) in enumerate(said)
    ]
