"""Brings what Hearth's own code logs into the ring that the log panes show, beside the words of native libraries."""

from __future__ import annotations

import logging
from typing import Final

from engine.runtime.logring import LogRing

ROOMS: Final = ("hearth", "engine", "api", "evals", "tui")
"""Loggers of Hearth's own, with all below them."""


class RingHandler(logging.Handler):
    """Adds records to `ring`, which blanks out secrets. The origin is the room: `engine.store`, `hearth.server`."""

    def __init__(self, ring: LogRing) -> None:
        super().__init__()
        self._ring = ring

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record in one line; of an exception its last line."""
        try:
            text = " ".join(record.getMessage().splitlines())
            if record.exc_info and record.exc_info[1] is not None:
                error = record.exc_info[1]
                text += f": {type(error).__name__}: {' '.join(str(error).splitlines())}"
        except Exception:
            self.handleError(record)
            return
        origin = ".".join(record.name.split(".")[:2])
        self._ring.add(_level(record.levelno), origin, text)

    def attach(self) -> None:
        """Begin to listen."""
        for room in ROOMS:
            logging.getLogger(room).addHandler(self)

    def detach(self) -> None:
        """Listen no more."""
        for room in ROOMS:
            logging.getLogger(room).removeHandler(self)


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
