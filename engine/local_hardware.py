"""The part of `LocalEngine` that is about its machine: see `engine.face.Engine.hardware`."""

from __future__ import annotations

import asyncio
import time

from engine.hardware.machine import Machine
from engine.hardware.points import joined
from engine.hardware.watch import COARSE_S, Watch
from engine.local_parts import LocalParts
from engine.store.rows import hardware_rows, points_of
from engine.types import Hardware, HardwarePoint

MOST_POINTS = 720
"""So many points, about, a history from the store has."""


class LocalHardware(LocalParts):
    """What `LocalEngine` inherits."""

    def _open_hardware(self) -> None:
        """Get ready; nothing is read."""
        self._watch = Watch(
            Machine(
                {"models": self._paths.models, "cache": self._paths.cache, "state": self._paths.state},
                lambda: (self._supervisor.loaded(), self._supervisor.token_counts()),
            ),
            self._keep_point,
        )

    async def hardware(self) -> Hardware:
        return await asyncio.wrap_future(self._watch.now())

    async def hardware_history(self, seconds: float) -> list[HardwarePoint]:
        fine = self._watch.points(seconds)
        since = time.time() - seconds
        if fine and fine[0].t_unix - since < 2 * COARSE_S:
            return fine
        stored = await asyncio.to_thread(self._store().series, since, max(COARSE_S, seconds / MOST_POINTS))
        return joined(points_of(stored), fine)

    def _keep_point(self, point: HardwarePoint) -> None:
        for row in hardware_rows(point):
            self._store().record(row)
