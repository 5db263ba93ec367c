"""How far something long is, on stderr: a bar where a person looks, a line now and then in a pipe or a log."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY = 10.0
"""Seconds between two lines of the same stage in a pipe."""


class ProgressLine:
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

    def draw(self, name: str, figures: str, *, done: int, total: int | None, stage: str) -> None:
        """Where it is: `done` of `total`, None while that is not known. A new `stage` is told in a pipe at once."""
        if self._bar is not None:
            progress, task = self._bar
            progress.update(task, description=name, total=total, completed=done, figures=figures)
            return
        now = time.monotonic()
        known, since = self._last
        if stage != known or now - since >= EVERY:
            self._last = stage, now
            self.note(f"{name}: {figures}" if name else figures)

    def note(self, text: str) -> None:
        """One line of text."""
        if self._bar is not None:
            self._bar[0].console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self._stream, flush=True)


def time_of(seconds: float) -> str:
    """Seconds as people read them: `1:05:09`, `4:20`, `9 s`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
