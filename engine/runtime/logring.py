"""The newest log lines of the engine and its workers, for the log panes and the words on a dead worker."""

from __future__ import annotations

import re
import time
from collections import deque
from typing import Literal

from engine.types import LogLine

Level = Literal["debug", "info", "warning", "error"]
_LONGEST = 2000
_LEVELS: dict[str, Level] = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}
_RANKS = list(_LEVELS)
# Access tokens of model hubs and of the usual APIs, and what a header or a URL carries of them.
_SECRET = re.compile(
    r"(?i)\b(?:(?:hf|hth|ghp)_|sk-)[\w-]{16,}|(?<=bearer )\S+|(?<=cookie: ).+|(?<=[?&]token=)[^&\s]+"
)


class LogRing:
    """Keeps the last `size` lines, secrets blanked out. Written and read from any thread.

    `level` is the least that `shown` gives; what a dying worker said at a lower one is kept all the same.
    """

    def __init__(self, level: Level = "info", *, redact: bool = True, size: int = 2000) -> None:
        self._lines: deque[LogLine] = deque(maxlen=size)
        self._least = _RANKS.index(level)
        self._redact = redact

    def add(self, level: str, origin: str, text: str) -> None:
        """Keep `text`, cut to a sensible length; an unknown level counts as info."""
        known = _LEVELS.get(level, "info")
        if _RANKS.index(known) < min(self._least, _RANKS.index("info")):
            return
        text = text[:_LONGEST]
        if self._redact:
            text = _SECRET.sub("[hidden]", text)
        self._lines.append(LogLine(t_unix=time.time(), level=known, origin=origin, text=text))

    def last(self, limit: int, origin: str | None = None) -> list[LogLine]:
        """The newest `limit` lines (of `origin`), oldest first."""
        lines = [line for line in self._lines.copy() if origin is None or line.origin == origin]
        return lines[max(0, len(lines) - limit) :]

    def shown(self, limit: int) -> list[LogLine]:
        """The newest `limit` lines of at least the level that was set, oldest first."""
        lines = [line for line in self._lines.copy() if _RANKS.index(line.level) >= self._least]
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
