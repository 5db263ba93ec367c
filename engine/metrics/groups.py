"""Requests in sums, told apart by model, alias, adapter, client or another column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from engine.errors import InvalidRequest
from engine.metrics.selecting import selected
from engine.types import Dimension, MetricsQuery, TrafficGroup

if TYPE_CHECKING:
    import duckdb

DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)

_GROUPS: Final = """
SELECT {by}, count(*) AS requests, count_if(reason = 'failed'), count_if(reason = 'cancelled'),
    sum(prompt_tokens)::BIGINT, sum(cached_tokens)::BIGINT, sum(completion_tokens)::BIGINT,
    sum(CASE WHEN completion_tokens > 1 AND decode_ms > 0 THEN completion_tokens - 1 END)
        / (sum(CASE WHEN completion_tokens > 1 THEN decode_ms END) / 1e3),
    quantile_cont(CASE WHEN ttft_ms > 0 THEN ttft_ms::FLOAT END, [0.5, 0.95]),
    avg(total_ms) / 1e3
FROM requests WHERE {where} GROUP BY {by} ORDER BY requests DESC, {by} LIMIT ?
"""


def groups(
    cursor: duckdb.DuckDBPyConnection, query: MetricsQuery, by: Dimension, limit: int
) -> list[TrafficGroup]:
    """Those with the most requests first. Raises InvalidRequest for a dimension that is none."""
    if by not in DIMENSIONS:
        raise InvalidRequest(
            f"Requests cannot be told apart by {by!r}.",
            fix=f"There are: {', '.join(DIMENSIONS)}.",
            param="by",
        )
    meant = selected(cursor, query)
    rows = cursor.execute(_GROUPS.format(by=by, where=meant.where), [*meant.values, limit]).fetchall()
    return [
        TrafficGroup(
            name=name or "",
            requests=requests,
            failed=failed,
            cancelled=cancelled,
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=completion,
            decode_rate=rate,
            ttft_p50=None if ttft is None or ttft[0] is None else ttft[0] / 1e3,
            ttft_p95=None if ttft is None or ttft[1] is None else ttft[1] / 1e3,
            total_mean=mean,
        )
        for name, requests, failed, cancelled, prompt, cached, completion, rate, ttft, mean in rows
    ]
