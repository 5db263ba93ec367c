"""Rows of the metrics: a finished request (who, what, how long; never what was said), what became of a model, and
what the machine did."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, structs

from engine.types import (
    Admitted,
    BenchRecord,
    Done,
    EvalRecord,
    GenerationRequest,
    GpuPoint,
    HardwarePoint,
    JobRecord,
    Terminal,
)

SCHEMA_VERSION = 3


class RequestRow(Struct, frozen=True, kw_only=True):
    """The columns of the table `requests`; durations in milliseconds, `time` in Unix seconds at the end."""

    id: str
    time: float
    client: str = ""
    source: str = ""
    priority: str = ""
    model: str = ""
    alias: str = ""
    """The alias that it was asked by; empty: by none."""
    adapter: str = ""
    backend: str = ""
    reason: str = ""
    """How it ended: finished, cancelled, loaded, unloaded or failed."""
    error_code: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    image_tokens: int = 0
    draft_accepted: int = 0
    draft_rejected: int = 0
    queue_ms: float = 0.0
    load_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    ttft_ms: float = 0.0
    total_ms: float = 0.0
    context: int = 0
    dropped_messages: int = 0
    dropped_tokens: int = 0
    choices: int = 1
    constrained: bool = False
    tools: int = 0
    seed: int | None = None
    gaps: tuple[int, ...] = ()
    """Time between tokens as they came, in units of 10 µs, at most 65,535 each."""


class ModelEventRow(Struct, frozen=True, kw_only=True):
    """The columns of the table `model_events`; sizes in bytes, `time` in Unix seconds."""

    time: float
    model: str
    state: str
    """What it came to: loaded, failed, shrunk or unloaded."""
    backend: str = ""
    reason: str = ""
    """Why: an error's code; or who wanted it away: asked, room, keep_alive, reload, died, file_changed, closing."""
    load_ms: float = 0.0
    context: int = 0
    slots: int = 0
    predicted_bytes: int = 0
    """Weights, KV cache and buffers together, as predicted before the load."""
    actual_bytes: int = 0
    """The same by the allocator's own figures."""
    predicted_resident: int = 0
    actual_resident: int = 0


class HardwareRow(Struct, frozen=True, kw_only=True):
    """The columns of the table `hardware_samples`: `engine.types.HardwarePoint` without its GPUs."""

    time: float
    cpu: float = 0.0
    load: float | None = None
    temperature: float | None = None
    power: float | None = None
    memory_used: int = 0
    memory_total: int = 0
    swap_used: int = 0
    models: int = 0
    resident: int = 0
    decode_rate: float = 0.0
    prefill_rate: float = 0.0


class GpuRow(Struct, frozen=True, kw_only=True):
    """The columns of the table `gpu_samples`, one row a device and sample, of the same `time`."""

    time: float
    device: str
    name: str = ""
    busy: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    power: float | None = None


Row = RequestRow | ModelEventRow | HardwareRow | GpuRow | JobRecord | EvalRecord | BenchRecord
SAMPLES: tuple[type[HardwareRow] | type[GpuRow], ...] = (HardwareRow, GpuRow)
"""Rows about the machine: whoever owns the file has their own, so none are spooled; and they are kept for a while."""


def refused_row(request: GenerationRequest, terminal: Terminal, request_id: str) -> RequestRow:
    """The row of a request that was not even taken; what is of the wrong type in it is left out."""
    try:
        made = row_of(request, terminal, request_id=request_id)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=RequestRow)
    except Exception:
        # Whatever the caller put there.
        code = None if isinstance(terminal, Done) else terminal.error.code
        return RequestRow(id=request_id, time=time.time(), reason="failed", error_code=code)


def row_of(
    request: GenerationRequest,
    terminal: Terminal,
    *,
    admitted: Admitted | None = None,
    gaps_ns: Sequence[int] = (),
    request_id: str = "",
    alias: str = "",
    ended_at: float | None = None,
) -> RequestRow:
    """The row of a request that ended with `terminal`; `gaps_ns` are the times between its tokens, ns.

    `alias` is the one that led to the model. `ended_at` is in Unix seconds (None: now).
    """
    done = terminal if isinstance(terminal, Done) else None
    failed = terminal if not isinstance(terminal, Done) else None
    usage, timings = terminal.usage, terminal.timings
    return RequestRow(
        id=request_id or request.id,
        time=time.time() if ended_at is None else ended_at,
        client=request.client,
        source=request.source,
        priority=request.priority,
        model=(done.model if done else "") or request.model,
        alias=alias,
        adapter=",".join(adapter.name for adapter in (done.adapters if done else ())),
        backend=done.backend if done else "",
        reason=done.reason if done else "failed",
        error_code=failed.error.code if failed else None,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        image_tokens=usage.image_tokens,
        draft_accepted=usage.draft_accepted,
        draft_rejected=usage.draft_rejected,
        queue_ms=timings.queue_s * 1e3,
        load_ms=timings.load_s * 1e3,
        prefill_ms=timings.prefill_s * 1e3,
        decode_ms=timings.decode_s * 1e3,
        ttft_ms=timings.ttft_s * 1e3,
        total_ms=timings.total_s * 1e3,
        context=admitted.context if admitted else 0,
        dropped_messages=admitted.dropped_messages if admitted else 0,
        dropped_tokens=admitted.dropped_tokens if admitted else 0,
        choices=request.n,
        constrained=request.constraint is not None,
        tools=len(request.tools),
        seed=done.seed if done else None,
        gaps=tuple(min(65_535, max(0, round(gap / 10_000))) for gap in gaps_ns),
    )


def hardware_rows(point: HardwarePoint) -> list[HardwareRow | GpuRow]:
    """The rows of one sample."""
    own = {name: getattr(point, name) for name in HardwareRow.__struct_fields__ if name != "time"}
    gpus = [GpuRow(time=point.t_unix, **structs.asdict(gpu)) for gpu in point.gpus]
    return [HardwareRow(time=point.t_unix, **own), *gpus]


def points_of(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[HardwarePoint]:
    """The points of rows of both tables, by table; those of GPUs belong to the sample of the same time."""
    gpus: dict[float, list[GpuPoint]] = {}
    for row in samples["gpu_samples"]:
        values = {name: value for name, value in row.items() if name != "time"}
        gpus.setdefault(row["time"], []).append(GpuPoint(**values))
    return [
        HardwarePoint(
            t_unix=row["time"],
            gpus=tuple(gpus.get(row["time"], ())),
            **{name: value for name, value in row.items() if name != "time"},
        )
        for row in samples["hardware_samples"]
    ]


_COLUMN_TYPES: dict[str, str] = {
    "str": "VARCHAR",
    "_Text": "VARCHAR",
    "_Count": "BIGINT",
    "str | None": "VARCHAR",
    "int": "BIGINT",
    "int | None": "BIGINT",
    "float": "DOUBLE",
    "float | None": "DOUBLE",
    "bool": "BOOLEAN",
    "tuple[int, ...]": "USMALLINT[]",
}

TABLES: dict[str, type[Row]] = {
    "requests": RequestRow,
    "model_events": ModelEventRow,
    "hardware_samples": HardwareRow,
    "gpu_samples": GpuRow,
    "jobs": JobRecord,
    "evals": EvalRecord,
    "bench": BenchRecord,
}
COLUMNS: dict[str, dict[str, str]] = {
    table: {
        name: "TIMESTAMP" if name == "time" else _COLUMN_TYPES[str(row.__annotations__[name])]
        for name in row.__struct_fields__
    }
    for table, row in TABLES.items()
}
"""The columns of each table with their DuckDB types; `time` is UTC."""


def values_of(table: str, rows: Sequence[Row]) -> list[list[Any]]:
    """The rows as one list a column, `time` in microseconds."""
    return [
        [round(row.time * 1e6) for row in rows] if name == "time" else [getattr(row, name) for row in rows]
        for name in COLUMNS[table]
    ]
