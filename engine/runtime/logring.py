"""The newest log lines of the engine and its workers, for the log panes and the words on a dead worker."""

from __future__ import annotations

import time
from collections import deque
from typing import Literal

from engine.types import LogLine

Level = Literal["debug", "info", "warning", "error"]
_LONGEST = 2000
_LEVELS: dict[str, Level] = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}


class LogRing:
    """Keeps the last `size` lines. Written and read from any thread."""

    def __init__(self, size: int = 2000) -> None:
        self._lines: deque[LogLine] = deque(maxlen=size)

    def add(self, level: str, origin: str, text: str) -> None:
        """Keep `text`, cut to a sensible length; an unknown level counts as info."""
        self._lines.append(
            LogLine(t_unix=time.time(), level=_LEVELS.get(level, "info"), origin=origin, text=text[:_LONGEST])
        )

    def last(self, limit: int, origin: str | None = None) -> list[LogLine]:
        """The newest `limit` lines (of `origin`), oldest first."""
        lines = [line for line in self._lines.copy() if origin is None or line.origin == origin]
        return lines[max(0, len(lines) - limit) :]


class LineSplitter:
    """Cuts the bytes of a pipe into lines; what is no UTF-8 is replaced, an endless line is cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            lines.append(self._rest)
            self._rest = b""
        return [text for line in lines if (text := line.decode("utf-8", "replace").rstrip())]

    def flush(self) -> list[str]:
        return self.feed(b"\n") if self._rest else []
