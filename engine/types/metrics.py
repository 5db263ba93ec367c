"""What the metrics are asked and answer: traffic over time, who asked how much, how long it took, and rows for SQL.

Moments are Unix seconds, durations seconds, sizes bytes, energy joules. None: nothing was measured there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Dimension = Literal["model", "alias", "adapter", "client", "source", "backend", "priority"]
"""What traffic is told apart by: a column of the table `requests`."""
Phase = Literal["total", "ttft", "queue", "load", "prefill", "decode"]
ExportForm = Literal["csv", "parquet"]
_Text = Annotated[str, Meta(max_length=1000)]
_Moment = Annotated[float, Meta(ge=0, le=1e11)]
_Count = Annotated[int, Meta(ge=0, le=2**53)]


class MetricsQuery(Struct, frozen=True, kw_only=True):
    """Which requests are meant. A name that is empty means requests without one; None means all."""

    seconds: Annotated[float, Meta(gt=0, le=1e10)] | None = 86_400.0
    """How far back from `until`; None: from the first request on."""
    until: _Moment | None = None
    """None: until now."""
    model: _Text | None = None
    alias: _Text | None = None
    adapter: _Text | None = None
    client: _Text | None = None


class TrafficPoint(Struct, frozen=True, kw_only=True):
    """The requests that ended within one step of time, which begins at `t_unix`. Steps without any are left out."""

    t_unix: float
    requests: int
    failed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    decode_rate: float | None = None
    """Tokens a second that an answer came at: tokens after the first by the time they took."""
    ttft_p50: float | None = None
    ttft_p95: float | None = None
    queue_p50: float | None = None
    queue_p95: float | None = None


class MachinePoint(Struct, frozen=True, kw_only=True):
    """Means of what the machine did within one step of time."""

    t_unix: float
    memory_used: int = 0
    memory_total: int = 0
    resident: int = 0
    """Of the models' processes."""
    gpu_memory: int | None = None
    """Used of all GPUs together."""
    power: float | None = None
    """Watts of what is measured: the machine or its processor, and GPUs."""


class Traffic(Struct, frozen=True, kw_only=True):
    """Requests and machine over time, in steps of `step` seconds, oldest first."""

    since: float
    until: float
    step: float
    points: tuple[TrafficPoint, ...] = ()
    machine: tuple[MachinePoint, ...] = ()
    energy: float | None = None
    """Joules of the measured power over the time that it was measured."""


class TrafficGroup(Struct, frozen=True, kw_only=True):
    """What one model, alias, adapter or client has asked for; `name` is empty for requests without one."""

    name: str
    requests: int
    failed: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    decode_rate: float | None = None
    ttft_p50: float | None = None
    ttft_p95: float | None = None
    total_mean: float | None = None


class Distribution(Struct, frozen=True, kw_only=True):
    """How a duration is spread over the requests that have one. Percentiles are linear between order statistics."""

    measure: str
    """queue, load, prefill, decode, ttft, total, or `token`: the time of each token after the first."""
    count: int = 0
    mean: float | None = None
    stdev: float | None = None
    """With n - 1."""
    least: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    most: float | None = None


class SlowRequest(Struct, frozen=True, kw_only=True):
    """A request that has ended, and where its time went; `t_unix` is its end."""

    id: str
    t_unix: float
    client: str = ""
    source: str = ""
    priority: str = ""
    model: str = ""
    alias: str = ""
    adapter: str = ""
    backend: str = ""
    reason: str = ""
    error_code: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    context: int = 0
    choices: int = 1
    constrained: bool = False
    tools: int = 0
    queue: float = 0.0
    load: float = 0.0
    prefill: float = 0.0
    decode: float = 0.0
    ttft: float = 0.0
    total: float = 0.0


class SqlAnswer(Struct, frozen=True, kw_only=True):
    """Rows that a statement gave, as values that JSON has; what it has not is text."""

    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    """DuckDB's names."""
    rows: tuple[tuple[Any, ...], ...] = ()
    more: bool = False
    """Whether there would have been more rows."""
    took: float = 0.0


class SavedQuery(Struct, frozen=True, kw_only=True):
    """A statement under a name. `shipped` ones come with Hearth and stay."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    sql: Annotated[str, Meta(min_length=1, max_length=20_000)]
    shipped: bool = False


class JobRecord(Struct, frozen=True, kw_only=True, tag_field="record", tag="job"):
    """An attempt of a job that has ended: the columns of the table `jobs`."""

    time: _Moment
    id: _Count
    attempt: _Count = 1
    state: str = "done"
    """done, error, cancelled, or `retry`: another attempt follows."""
    kind: str = "generate"
    client: str = ""
    model: str = ""
    error_code: str | None = None
    waited_ms: float = 0.0
    """From its submission to the begin of this attempt."""
    run_ms: float = 0.0


class EvalRecord(Struct, frozen=True, kw_only=True, tag_field="record", tag="eval"):
    """What a model came to in an eval: the columns of the table `evals`."""

    time: _Moment
    run: _Text
    dataset: _Text = ""
    model: _Text = ""
    scorer: _Text = ""
    score: float | None = None
    low: float | None = None
    """The confidence interval of `score`."""
    high: float | None = None
    samples: _Count = 0
    failed: _Count = 0


class BenchRecord(Struct, frozen=True, kw_only=True, tag_field="record", tag="bench"):
    """What a model came to under one load: the columns of the table `bench`."""

    time: _Moment
    target: _Text
    model: _Text = ""
    url: _Text = ""
    backend: _Text = ""
    shape: _Text = ""
    requests: _Count = 0
    failed: _Count = 0
    prompt_tokens: _Count = 0
    cached_tokens: _Count = 0
    completion_tokens: _Count = 0
    seconds: float = 0.0
    tokens_per_s: float | None = None
    prefill_per_s: float | None = None
    goodput_per_s: float | None = None
    ttft_p50_s: float | None = None
    ttft_p99_s: float | None = None
    tpot_p50_s: float | None = None
    tpot_p99_s: float | None = None
    joules: float | None = None


MetricsRecord = JobRecord | EvalRecord | BenchRecord
