"""Reads what a headless app shows, and waits for what it will show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot


def shown(app: Any) -> str:
    """The screen as text, a line a row."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def told(app: Any) -> str:
    """What the notices say, unwrapped."""
    return "\n".join(notice.message for notice in app._notifications)


async def until(pilot: Pilot[Any], reached: Callable[[], bool]) -> None:
    """Let the app work until `reached`; pytest's own limit ends a wait that is in vain."""
    while not reached():
        await pilot.pause(0.01)
