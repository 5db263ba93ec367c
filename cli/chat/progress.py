"""The line on stderr that says what happens before there is an answer: the place in the line, a load, a long prompt.

It is written over itself and gone before anything else is written, and it is there only where a person looks.
"""

from __future__ import annotations

import os
from typing import TextIO

from cli.terminal_text import dim
from engine.text_safety import plain
from engine.types import Loading, Prefill, Queued, StreamEvent
from tui.telling import waiting
from tui.telling.prompt import count

CLEAR = "\r\x1b[2K"
BAR = 20


class ProgressLine:
    """Shows what it is told on `stream`, if that is a terminal."""

    def __init__(self, model: str, stream: TextIO) -> None:
        self._model, self._stream = plain(model, 40), stream
        self.is_watched = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = ""

    def show(self, event: StreamEvent) -> None:
        """What an event before the answer means."""
        match event:
            case Queued(position=position, eta_s=eta):
                self.say(waiting.queued(position, eta))
            case Loading(stage=stage, fraction=fraction):
                self.say(f"loading {self._model} · {waiting.stage(stage)}{_share(fraction)}")
            case Prefill(done=done, total=total) if done < total:
                self.say(f"reading {count(total, 'token')}{_share(done / total)}")

    def say(self, text: str) -> None:
        """Put `text` in the place of what was there."""
        if self.is_watched and text != self._shown:
            self._stream.write(CLEAR + dim(_cut(text, _columns(self._stream) - 1), self._stream))
            self._stream.flush()
            self._shown = text

    def clear(self) -> None:
        """Take it away."""
        if self._shown:
            self._stream.write(CLEAR)
            self._stream.flush()
            self._shown = ""


def _share(fraction: float | None) -> str:
    return "" if fraction is None else f" {waiting.bar(fraction, BAR)} {fraction:.0%}"


def _cut(text: str, cells: int) -> str:
    """What of `text` fits into `cells`: some characters take two."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= cells else set_cell_size(text, cells)


def _columns(stream: TextIO) -> int:
    """How wide the terminal is: a longer line would wrap and could not be written over."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
