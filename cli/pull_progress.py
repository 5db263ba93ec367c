"""How far a pull is, on stderr: a bar where a person looks, a line now and then in a pipe or a log."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from cli.commands.models import size_of
from engine.text_safety import plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from engine.types import PullState

EVERY = 10.0
"""Seconds between two lines of the same stage in a pipe."""
_WORDS = {
    "interrupted": "broken off",
    "queued": "waiting for its turn",
    "asking": "asking the hub",
    "locked": "waiting for another program",
    "waiting": "waiting for the network",
    "verifying": "checking",
}


class PullProgress:
    """Shows what it is told on `stream`; a context manager, since a bar has to be taken away."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: tuple[Progress, TaskID] | None = None
        self._last = ("", 0.0)

    def __enter__(self) -> Self:
        if self._stream.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[figures]}", markup=False),
                console=Console(file=self._stream),
                transient=True,
            )
            progress.start()
            self._bar = progress, progress.add_task("", total=None, figures="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None

    def show(self, state: PullState) -> None:
        """Where a pull is."""
        name, figures = plain(state.model, 60), figures_of(state)
        if self._bar is not None:
            progress, task = self._bar
            progress.update(
                task, description=name, total=state.size or None, completed=state.done, figures=figures
            )
            return
        now = time.monotonic()
        stage, since = self._last
        if state.stage != stage or now - since >= EVERY:
            self._last = state.stage, now
            self.note(f"{name}: {figures}")

    def note(self, text: str) -> None:
        """One line of text."""
        if self._bar is not None:
            self._bar[0].console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self._stream, flush=True)


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


def time_of(seconds: float) -> str:
    """Seconds as people read them: `1:05:09`, `4:20`, `9 s`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
