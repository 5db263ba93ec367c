"""How far a pull is, in words and on a `ProgressLine`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.commands.models import size_of
from cli.progress_line import ProgressLine, time_of
from engine.text_safety import plain

if TYPE_CHECKING:
    from engine.types import PullState

_WORDS = {
    "interrupted": "broken off",
    "queued": "waiting for its turn",
    "asking": "asking the hub",
    "locked": "waiting for another program",
    "waiting": "waiting for the network",
    "verifying": "checking",
}


def show(line: ProgressLine, state: PullState) -> None:
    """Where a pull is."""
    line.draw(
        plain(state.model, 60),
        figures_of(state),
        done=state.done,
        total=state.size or None,
        stage=state.stage,
    )


def figures_of(state: PullState) -> str:
    """Stage, share, speed and time left in one line."""
    if state.stage == "done":
        return f"done, {size_of(state.size)}, {size_of(state.fetched)} fetched"
    if state.stage in ("failed", "cancelled"):
        return state.stage
    parts = []
    if words := _WORDS.get(state.stage):
        parts.append(words)
    if state.position:
        parts.append(f"{state.position} before it")
    if state.size:
        parts.append(f"{size_of(state.done)} of {size_of(state.size)} ({state.done / state.size:.0%})")
    if state.stage == "fetching" and state.speed:
        parts.append(f"{size_of(int(state.speed))}/s")
    if state.left_s is not None and state.stage == "fetching":
        parts.append(f"{time_of(state.left_s)} left")
    if state.note:
        parts.append(plain(state.note, 160))
    return ", ".join(parts)
