"""The metrics of an engine that plays recordings: a day of requests, and what follows from them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from engine.errors import InvalidRequest
from engine.types import (
    Dimension,
    Distribution,
    ExportForm,
    MachinePoint,
    MetricsQuery,
    MetricsRecord,
    Phase,
    SavedQuery,
    SlowRequest,
    SqlAnswer,
    Traffic,
    TrafficGroup,
    TrafficPoint,
)

GIB = 2**30


class RecordedMetrics:
    """See `engine.metrics.face.Metrics`. What it tells of is a public attribute that a test may set."""

    def __init__(self, requests: Sequence[SlowRequest] = (), *, now: float = 0.0, power: bool = True) -> None:
        self.requests, self.now, self.power = list(requests), now, power
        self.saved: list[SavedQuery] = [
            SavedQuery(
                name="errors", sql="SELECT error_code, count(*) FROM requests GROUP BY ALL", shipped=True
            ),
            SavedQuery(
                name="my slow clients", sql="SELECT client, max(total_ms) FROM requests GROUP BY client"
            ),
        ]
        self.records: list[MetricsRecord] = []

    async def traffic(self, query: MetricsQuery, points: int = 120) -> Traffic:
        """Steps of the requests, and a machine that works as much as they do."""
        until = query.until or self.now
        span = query.seconds or 86_400.0
        step = max(1.0, round(span / points))
        since = until - span
        by_step: dict[int, list[SlowRequest]] = {}
        for request in self._meant(query):
            by_step.setdefault(int(request.t_unix // step), []).append(request)
        found = [_point(place, step, by_step[place]) for place in sorted(by_step)]
        machine = [
            MachinePoint(
                t_unix=place * step,
                memory_used=round((9 + 3 * math.sin(place / 17)) * GIB),
                memory_total=32 * GIB,
                resident=round(6.2 * GIB),
                gpu_memory=round((7 + 2 * math.sin(place / 11)) * GIB),
                power=90 + 8 * len(by_step.get(place, ())) + 20 * math.sin(place / 9) if self.power else None,
            )
            for place in range(int(since // step) + 1, int(until // step))
        ]
        energy = sum((point.power or 0.0) * step for point in machine) if self.power else None
        if not self.requests:
            machine, energy = [], None
        return Traffic(
            since=since, until=until, step=step, points=tuple(found), machine=tuple(machine), energy=energy
        )

    async def groups(self, query: MetricsQuery, by: Dimension, limit: int = 200) -> list[TrafficGroup]:
        """Sums."""
        named: dict[str, list[SlowRequest]] = {}
        for request in self._meant(query):
            named.setdefault(getattr(request, by), []).append(request)
        return sorted(
            (_group(name, requests) for name, requests in named.items()),
            key=lambda group: (-group.requests, group.name),
        )[:limit]

    async def distributions(self, query: MetricsQuery) -> list[Distribution]:
        """Percentiles."""
        requests = self._meant(query)
        per_token = [
            request.decode / (request.completion_tokens - 1)
            for request in requests
            if request.completion_tokens > 1
        ]
        measured = {
            name: [value for request in requests if (value := getattr(request, name)) > 0]
            for name in ("queue", "load", "prefill", "ttft", "decode", "total")
        }
        order = ("queue", "load", "prefill", "ttft", "decode", "token", "total")
        return [_spread(name, per_token if name == "token" else measured[name]) for name in order]

    async def slowest(self, query: MetricsQuery, by: Phase = "total", limit: int = 100) -> list[SlowRequest]:
        """In that order."""
        return sorted(self._meant(query), key=lambda request: -getattr(request, by))[:limit]

    async def sql(self, statement: str, limit: int = 1000) -> SqlAnswer:
        """Requests by model, whatever is asked; a refusal for what is no SELECT."""
        if not statement.upper().startswith("SELECT"):
            raise InvalidRequest(
                "This statement is not run.",
                "It is a statement of the kind DELETE.",
                "Write one SELECT over requests, model_events, hardware_samples, gpu_samples, jobs, evals or bench.",
                param="sql",
            )
        rows = [
            (group.name, group.requests, group.completion_tokens)
            for group in await self.groups(MetricsQuery(seconds=None), "model")
        ]
        return SqlAnswer(
            columns=("model", "requests", "written"),
            types=("VARCHAR", "BIGINT", "HUGEINT"),
            rows=tuple(rows[:limit]),
            took=0.0042,
        )

    async def export(self, statement: str, form: ExportForm) -> bytes:
        """A few bytes."""
        return f"{form}\n{statement}\n".encode()

    async def queries(self) -> list[SavedQuery]:
        """The saved ones."""
        return list(self.saved)

    async def save_query(self, query: SavedQuery) -> None:
        """Keep it."""
        self.saved = [each for each in self.saved if each.name != query.name] + [query]

    async def drop_query(self, name: str) -> None:
        """Forget it."""
        self.saved = [each for each in self.saved if each.name != name]

    async def record(self, record: MetricsRecord) -> None:
        """Keep it."""
        self.records.append(record)

    def _meant(self, query: MetricsQuery) -> list[SlowRequest]:
        until = query.until or self.now
        since = until - query.seconds if query.seconds is not None else float("-inf")
        names = {name: getattr(query, name) for name in ("model", "alias", "adapter", "client")}
        return [
            request
            for request in self.requests
            if since <= request.t_unix <= until
            and all(name is None or getattr(request, column) == name for column, name in names.items())
        ]


def day_of_requests(now: float) -> list[SlowRequest]:
    """Two busy stretches of a day, from four clients, with some loads, some failures and one very long wait."""
    found = []
    for place in range(900):
        share = place / 900
        busy = 0.25 + 0.75 * abs(math.sin(share * math.pi * 2))
        model, alias, adapter = _MODELS[place * 7 % 5]
        client = ("open-webui", "claude-cli", "nightly-eval", "laptop")[place * 5 % 4]
        failed, cancelled = place % 97 == 13, place % 61 == 9
        prompt = 80 + place * 37 % 2900
        completion = 0 if failed else 12 + place * 29 % 420
        queue = 0.004 + (place * 13 % 40) / 400 * busy + (8.4 if place == 611 else 0.0)
        load = 3.1 + place % 7 / 5 if place % 150 == 4 else 0.0
        prefill = 0.0 if failed else 0.05 + prompt / 5200
        decode = 0.0 if failed else completion / (31 + place % 23)
        found.append(
            SlowRequest(
                id=f"{place * 2654435761 % 16**12:012x}",
                t_unix=now - 86_000 * (1 - share) - place * 17 % 60,
                client=client,
                source=("openai", "anthropic", "job", "tui")[place * 5 % 4],
                priority="batch" if client == "nightly-eval" else "api",
                model=model,
                alias=alias,
                adapter=adapter,
                backend="llama",
                reason="failed" if failed else "cancelled" if cancelled else "finished",
                error_code="queue_full" if failed else None,
                prompt_tokens=prompt,
                cached_tokens=0 if failed else prompt * (place * 11 % 10) // 12,
                completion_tokens=completion,
                context=8192,
                constrained=place % 9 == 0,
                queue=queue,
                load=load,
                prefill=prefill,
                decode=decode,
                ttft=0.0 if failed else queue + load + prefill,
                total=queue + load + prefill + decode + 0.01,
            )
        )
    return found


_MODELS = (
    ("qwen3-8b-instruct", "", ""),
    ("qwen3-8b-instruct", "bard", "verse"),
    ("ember", "", ""),
    ("gemma-3-12b-it-qat", "", ""),
    ("qwen3-8b-instruct", "", ""),
)


def _point(place: int, step: float, requests: Sequence[SlowRequest]) -> TrafficPoint:
    first = [request.ttft for request in requests if request.ttft]
    waits = [request.queue for request in requests]
    return TrafficPoint(
        t_unix=place * step,
        ttft_p50=_at(first, 0.5),
        ttft_p95=_at(first, 0.95),
        queue_p50=_at(waits, 0.5),
        queue_p95=_at(waits, 0.95),
        **_sums(requests),
    )


def _group(name: str, requests: Sequence[SlowRequest]) -> TrafficGroup:
    first = [request.ttft for request in requests if request.ttft]
    return TrafficGroup(
        name=name,
        cancelled=sum(request.reason == "cancelled" for request in requests),
        ttft_p50=_at(first, 0.5),
        ttft_p95=_at(first, 0.95),
        total_mean=statistics.fmean(request.total for request in requests),
        **_sums(requests),
    )


def _sums(requests: Iterable[SlowRequest]) -> dict[str, Any]:
    requests = list(requests)
    decode = sum(request.decode for request in requests)
    rest = sum(max(0, request.completion_tokens - 1) for request in requests)
    return {
        "requests": len(requests),
        "failed": sum(request.reason == "failed" for request in requests),
        "prompt_tokens": sum(request.prompt_tokens for request in requests),
        "cached_tokens": sum(request.cached_tokens for request in requests),
        "completion_tokens": sum(request.completion_tokens for request in requests),
        "decode_rate": rest / decode if decode else None,
    }


def _spread(name: str, values: Sequence[float]) -> Distribution:
    if not values:
        return Distribution(measure=name)
    return Distribution(
        measure=name,
        count=len(values),
        mean=statistics.fmean(values),
        stdev=statistics.stdev(values) if len(values) > 1 else None,
        least=min(values),
        p50=_at(values, 0.5),
        p90=_at(values, 0.9),
        p95=_at(values, 0.95),
        p99=_at(values, 0.99),
        most=max(values),
    )


def _at(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    return ordered[below] + (ordered[min(below + 1, len(ordered) - 1)] - ordered[below]) * (place - below)
