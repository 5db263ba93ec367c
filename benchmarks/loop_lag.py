"""`LoopLag`: how late an asyncio event loop is, sampled while something else runs on it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

INTERVAL = 0.005
"""Seconds between samples."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Percentiles of event-loop lag in milliseconds."""

    p50: float
    p95: float
    most: float


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; `share` between 0 and 1. Zero for no values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class LoopLag:
    """Samples the lag of the running loop between `async with` and its end.

    A sample asks to be woken after 5 ms and records by how much the loop was late, so a callback
    that blocks for 50 ms shows as one sample of about 50 ms, not as ten.
    """

    def __init__(self) -> None:
        self.samples: list[float] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LoopLag:
        self._task = asyncio.create_task(self._sample())
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _sample(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(INTERVAL)
            self.samples.append((time.perf_counter() - began - INTERVAL) * 1e3)

    @property
    def lag(self) -> Lag:
        """What was measured so far."""
        return Lag(
            percentile(self.samples, 0.5), percentile(self.samples, 0.95), max(self.samples, default=0.0)
        )
