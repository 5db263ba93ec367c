"""Requests and machine over time, in steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.metrics.selecting import SPAN, Selected, selected
from engine.types import MachinePoint, MetricsQuery, Traffic, TrafficPoint

if TYPE_CHECKING:
    import duckdb

STEPS_S: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 345_600,
    604_800,
)  # fmt: skip
"""Lengths of steps, which begin at whole multiples of them."""
SAMPLE_S: Final = 30.0
"""How long a sample of the machine stands for at most, where steps are shorter."""

_REQUESTS: Final = """
SELECT epoch_us(time) // ? AS step, count(*), count_if(reason = 'failed'),
    sum(prompt_tokens)::BIGINT, sum(cached_tokens)::BIGINT, sum(completion_tokens)::BIGINT,
    sum(CASE WHEN completion_tokens > 1 AND decode_ms > 0 THEN completion_tokens - 1 END)
        / (sum(CASE WHEN completion_tokens > 1 THEN decode_ms END) / 1e3),
    quantile_cont(CASE WHEN ttft_ms > 0 THEN ttft_ms::FLOAT END, [0.5, 0.95]),
    quantile_cont(CASE WHEN reason <> 'failed' THEN queue_ms::FLOAT END, [0.5, 0.95])
FROM requests WHERE {where} GROUP BY step ORDER BY step
"""
_MACHINE: Final = """
SELECT epoch_us(time) // ? AS step, avg(memory_used), max(memory_total), avg(resident), avg(power)
FROM hardware_samples WHERE {where} GROUP BY step ORDER BY step
"""
# Devices are added up at each moment first, then averaged over the step. What a Mac takes has its GPU in it.
_GPUS: Final = """
SELECT epoch_us(time) // ? AS step, avg(memory), avg(power) FROM (
    SELECT time, sum(memory_used) AS memory,
        sum(CASE WHEN device NOT LIKE 'apple%' THEN power END) AS power FROM gpu_samples WHERE {where} GROUP BY time
) GROUP BY step
"""
# A sample holds until the next one, half a minute at most: what was not measured is not counted.
_ENERGY: Final = """
SELECT sum(power * least(coalesce(seconds, ?), ?)) FROM (
    SELECT power, (lead(epoch_us(time)) OVER (ORDER BY time) - epoch_us(time)) / 1e6 AS seconds FROM (
        SELECT time, sum(power) AS power FROM (
            SELECT time, power FROM hardware_samples WHERE {where} AND power IS NOT NULL
            UNION ALL SELECT time, power FROM gpu_samples
            WHERE {where} AND power IS NOT NULL AND device NOT LIKE 'apple%'
        ) GROUP BY time
    )
)
"""


def traffic(cursor: duckdb.DuckDBPyConnection, query: MetricsQuery, points: int) -> Traffic:
    """Requests that `query` means, and the machine at that time, in about `points` steps."""
    meant = selected(cursor, query)
    step = step_of(meant.until - meant.since, points)
    return Traffic(
        since=meant.since,
        until=meant.until,
        step=step,
        points=tuple(_points(cursor, meant, step)),
        machine=tuple(_machine(cursor, meant, step)),
        energy=_energy(cursor, meant),
    )


def step_of(seconds: float, points: int) -> float:
    """The shortest round step of which no more than `points` make up `seconds`; whole weeks for longer ones."""
    least = seconds / points
    for step in STEPS_S:
        if step >= least:
            return float(step)
    return float(-(-least // STEPS_S[-1]) * STEPS_S[-1])


def _points(cursor: duckdb.DuckDBPyConnection, meant: Selected, step: float) -> list[TrafficPoint]:
    rows = cursor.execute(_REQUESTS.format(where=meant.where), [round(step * 1e6), *meant.values]).fetchall()
    return [
        TrafficPoint(
            t_unix=place * step,
            requests=requests,
            failed=failed,
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=completion,
            decode_rate=rate,
            ttft_p50=_seconds(ttft, 0),
            ttft_p95=_seconds(ttft, 1),
            queue_p50=_seconds(queue, 0),
            queue_p95=_seconds(queue, 1),
        )
        for place, requests, failed, prompt, cached, completion, rate, ttft, queue in rows
    ]


def _machine(cursor: duckdb.DuckDBPyConnection, meant: Selected, step: float) -> list[MachinePoint]:
    # The names in a question are those of requests; the machine is one.
    said = [round(step * 1e6), *meant.span]
    gpus = {place: rest for place, *rest in cursor.execute(_GPUS.format(where=SPAN), said).fetchall()}
    found = []
    for place, used, total, resident, power in cursor.execute(_MACHINE.format(where=SPAN), said).fetchall():
        gpu_memory, gpu_power = gpus.get(place, (None, None))
        powers = [each for each in (power, gpu_power) if each is not None]
        found.append(
            MachinePoint(
                t_unix=place * step,
                memory_used=round(used),
                memory_total=total,
                resident=round(resident),
                gpu_memory=None if gpu_memory is None else round(gpu_memory),
                power=sum(powers) if powers else None,
            )
        )
    return found


def _energy(cursor: duckdb.DuckDBPyConnection, meant: Selected) -> float | None:
    said = [SAMPLE_S, SAMPLE_S, *meant.span, *meant.span]
    (found,) = cursor.execute(_ENERGY.format(where=SPAN), said).fetchall()[0]
    return None if found is None else float(found)


def _seconds(found: list[float | None] | None, place: int) -> float | None:
    value = found[place] if found is not None else None
    return None if value is None else value / 1e3
