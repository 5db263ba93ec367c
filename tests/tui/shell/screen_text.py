"""Reads what a headless app shows, and waits for what it will show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

TURNS = 4
"""So many turns at most, since what spins or counts is never at rest."""


def shown(app: Any) -> str:
    """The screen as text, a line a row."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def read(app: Any) -> str:
    """The screen's words in one line: where a text wraps hangs on the length of the paths in it."""
    return " ".join(shown(app).replace("│", " ").split())


def told(app: Any) -> str:
    """What the notices say, unwrapped."""
    return "\n".join(notice.message for notice in app._notifications)


async def until(pilot: Pilot[Any], reached: Callable[[], bool]) -> None:
    """Let the app work until `reached` and the screen has been laid out; pytest's own limit ends a wait in vain.

    A widget whose words change is drawn in its old height once before the layout follows, so what a test reads right
    after the first word of a change may lack the rest of it.
    """
    while not reached():
        await pilot.pause(0.01)
    before = ""
    for _ in range(TURNS):
        await pilot.pause()
        now = shown(pilot.app)
        if now == before:
            return
        before = now
