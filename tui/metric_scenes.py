"""Scenes of the Metrics workspace for `tui.screenshots`: every view, a request in full, SQL, nothing yet."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import cast

from textual.pilot import Pilot

from tui.app import HearthApp
from tui.recorded import RecordedEngine
from tui.recorded_metrics import RecordedMetrics, day_of_requests

Drive = Callable[[Pilot[None], HearthApp], Awaitable[None]]


def _measured(*keys: str, some: bool = True, power: bool = True) -> Drive:
    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        engine = cast(RecordedEngine, app.connection.ready)
        now = time.time()
        engine.metrics = RecordedMetrics(day_of_requests(now) if some else (), now=now, power=power)
        await pilot.press("r")
        await pilot.pause(0.5)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.15)
        await pilot.pause(0.7)

    return drive


SCENES: dict[str, tuple[str, Drive]] = {
    "metrics": ("metrics", _measured()),
    "metrics-no-power": ("metrics", _measured("minus", power=False)),
    "metrics-none": ("metrics", _measured(some=False)),
    "metrics-groups": ("metrics", _measured("right")),
    "metrics-clients": ("metrics", _measured("right", "b", "b", "b")),
    "metrics-narrowed": ("metrics", _measured("right", "enter", "b")),
    "metrics-percentiles": ("metrics", _measured("right", "right")),
    "metrics-slow": ("metrics", _measured("right", "right", "right")),
    "metrics-slow-opened": ("metrics", _measured("right", "right", "right", "down", "enter")),
    "metrics-slow-none": ("metrics", _measured("right", "right", "right", some=False)),
    "metrics-sql": ("metrics", _measured("s", "ctrl+r")),
    "metrics-sql-refused": ("metrics", _measured("s", *"DELETE ", "ctrl+r")),
    "metrics-sql-saved": ("metrics", _measured("s", "ctrl+f")),
    "metrics-sql-row": ("metrics", _measured("s", "ctrl+r", "enter")),
}
"""Scene name: the workspace it starts in, and what is done there."""
