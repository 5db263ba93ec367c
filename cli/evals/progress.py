"""How far an eval is, on stderr: a bar where a person looks, a line now and then in a pipe or a log."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from cli.pull_progress import time_of
from engine.text_safety import plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from evals.runner import Progress as Told

EVERY = 10.0
"""Seconds between two lines in a pipe."""


class EvalProgress:
    """Shows what it is told on `stream`; a context manager, since a bar has to be taken away."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: tuple[Progress, TaskID] | None = None
        self._subject, self._last = "", 0.0

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

    def show(self, told: Told) -> None:
        """Where the run is."""
        name, figures = plain(told.subject, 60), figures_of(told)
        if self._bar is not None:
            progress, task = self._bar
            progress.update(task, description=name, total=told.total, completed=told.done, figures=figures)
            return
        now = time.monotonic()
        if told.subject != self._subject or now - self._last >= EVERY:
            self._subject, self._last = told.subject, now
            print(f"{name}: {figures}" if name else figures, file=self._stream, flush=True)


def figures_of(told: Told) -> str:
    """Rows, failures, the score so far and the time left in one line."""
    parts = [f"{told.done} of {told.total}"]
    if told.failed:
        parts.append(f"{told.failed} failed")
    if told.score is not None:
        parts.append(f"mean {told.score:.3f}")
    if told.paused:
        parts.append("paused")
    elif told.left_s is not None and told.done < told.total:
        parts.append(f"{time_of(told.left_s)} left")
    return ", ".join(parts)
