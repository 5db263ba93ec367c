"""One look at engine and machine, twice a second, in a thread; whoever shows it is told only when it changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.connection import Connection
from tui.status import Sample

if TYPE_CHECKING:
    import psutil

INTERVAL_S = 0.5
COARSE = 2**20
"""Memory is rounded to this many bytes, so that a breath of the allocator is no change."""


class Sampler:
    """Reads `Sample`s. Not for history: the metrics store keeps that."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._process: psutil.Process | None = None

    def read(self) -> Sample:
        """One sample; takes milliseconds, so call it off the loop."""
        import psutil

        if self._process is None:
            self._process = psutil.Process()
        memory = psutil.virtual_memory()
        machine = {
            "resident": self._process.memory_info().rss // COARSE * COARSE,
            "memory_used": (memory.total - memory.available) // (64 * COARSE) * (64 * COARSE),
            "memory_total": memory.total,
        }
        engine = self._connection.ready
        if engine is None:
            return Sample(failed=self._connection.error is not None, **machine)
        if self._connection.elsewhere:
            machine = {"resident": 0, "memory_used": 0, "memory_total": 0}
        loaded = tuple(engine.loaded())
        machine["resident"] += sum(model.memory.resident for model in loaded) // COARSE * COARSE
        running = engine.running()
        waiting = sum(request.state == "queued" for request in running)
        return Sample(
            connected=True,
            lost=self._connection.lost is not None,
            loaded=loaded,
            running=len(running) - waiting,
            queued=waiting,
            pulls=tuple(engine.pulls()),
            **machine,
        )

    async def run(self, tell: Callable[[Sample], None]) -> None:
        """Sample until cancelled, calling `tell` with each sample that differs from the one before."""
        last: Sample | None = None
        while True:
            sample = await asyncio.to_thread(self.read)
            if sample != last:
                tell(sample)
                last = sample
            await asyncio.sleep(INTERVAL_S)
