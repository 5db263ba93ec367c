"""Rows of the metrics: a finished request (who, what, how long; never what was said), and what became of a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from engine.types import Admitted, Done, GenerationRequest, Terminal

SCHEMA_VERSION = 1


class RequestRow(Struct, frozen=True, kw_only=True):
    """The columns of the table `requests`; durations in milliseconds, `time` in Unix seconds at the end."""

    id: str
    time: float
    client: str = ""
    source: str = ""
    priority: str = ""
    model: str = ""
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


Row = RequestRow | ModelEventRow


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
    ended_at: float | None = None,
) -> RequestRow:
    """The row of a request that ended with `terminal`; `gaps_ns` are the times between its tokens, ns.

    `ended_at` is in Unix seconds (None: now).
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


_COLUMN_TYPES: dict[str, str] = {
    "str": "VARCHAR",
    "str | None": "VARCHAR",
    "int": "BIGINT",
    "int | None": "BIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "tuple[int, ...]": "USMALLINT[]",
}

TABLES: dict[str, type[RequestRow] | type[ModelEventRow]] = {
    "requests": RequestRow,
    "model_events": ModelEventRow,
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
