"""Scenes of the Jobs workspace for `tui.screenshots`: jobs in every state, one in full, a new one, none."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import cast

from textual.pilot import Pilot

from tui.app import HearthApp
from tui.recorded import RecordedEngine
from tui.recorded_jobs import PARTIAL, jobs_of

Drive = Callable[[Pilot[None], HearthApp], Awaitable[None]]


def _with_jobs(*keys: str, some: bool = True) -> Drive:
    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        engine = cast(RecordedEngine, app.connection.ready)
        engine.jobs.jobs = jobs_of(time.time()) if some else []
        engine.jobs.partial = PARTIAL
        await pilot.pause(0.8)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.05)
        await pilot.pause(1.2)

    return drive


_RUNNING = ("down", "down", "down", "down")
SCENES: dict[str, tuple[str, Drive]] = {
    "jobs": ("jobs", _with_jobs()),
    "jobs-running": ("jobs", _with_jobs(*_RUNNING)),
    "jobs-error": ("jobs", _with_jobs(*_RUNNING, "down", "down")),
    "jobs-done": ("jobs", _with_jobs("end")),
    "jobs-opened": ("jobs", _with_jobs("end", "enter")),
    "jobs-search": ("jobs", _with_jobs("slash", *"json", "enter")),
    "jobs-failed": ("jobs", _with_jobs("s", "s", "s", "s")),
    "jobs-no-match": ("jobs", _with_jobs("slash", *"zebra")),
    "jobs-new": ("jobs", _with_jobs("n", *"Summarise it.")),
    "jobs-none": ("jobs", _with_jobs(some=False)),
}
"""Scene name: the workspace it starts in, and what is done there."""
