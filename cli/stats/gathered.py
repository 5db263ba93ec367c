"""What a report is made of, asked of the engine's metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from engine.types import Dimension, Distribution, MetricsQuery, SlowRequest, Traffic, TrafficGroup

if TYPE_CHECKING:
    from engine import Metrics

POINTS: Final = 160
SLOWEST: Final = 10
DEFINITIONS: Final = (
    ("written", "tokens of answers that ended in a step, by the length of the step"),
    ("tok/s", "tokens of answers after the first, by the time from the first to the last"),
    ("ttft", "time to first token: first token minus submit; waiting in line and a load are included"),
    ("queue", "admitted minus submit, without a load"),
    ("prefill", "first token minus begin of the prefill"),
    ("decode", "last token minus first token"),
    ("token", "decode by the tokens after the first"),
    ("total", "end minus submit"),
    ("cached", "prompt tokens that were computed before, of all prompt tokens"),
    ("percentiles", "linear between order statistics, of all requests of the time; none is an estimate"),
    ("clock", "monotonic, in the engine: nothing of the network is in it"),
)


class Gathered(Struct, frozen=True, kw_only=True):
    """One span of time: sums, percentiles, what was slow. `by` is what `groups` are told apart by."""

    query: MetricsQuery
    by: Dimension
    made: float
    traffic: Traffic
    groups: tuple[TrafficGroup, ...]
    distributions: tuple[Distribution, ...]
    slowest: tuple[SlowRequest, ...]

    @property
    def requests(self) -> int:
        return sum(group.requests for group in self.groups)


async def gathered(metrics: Metrics, query: MetricsQuery, by: Dimension) -> Gathered:
    """Ask for all of it. Raises HearthError."""
    return Gathered(
        query=query,
        by=by,
        made=time.time(),
        traffic=await metrics.traffic(query, POINTS),
        groups=tuple(await metrics.groups(query, by, 10_000)),
        distributions=tuple(await metrics.distributions(query)),
        slowest=tuple(await metrics.slowest(query, "total", SLOWEST)),
    )
