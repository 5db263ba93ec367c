"""From tokens to text that may be shown: incremental UTF-8 and stop strings.

Both give the same text however the tokens are cut into portions.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Utf8:
    """Bytes in, text out. A code point split between tokens waits for its rest; invalid bytes give U+FFFD."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        return self._decoder.decode(data)

    def flush(self) -> str:
        """What an unfinished code point at the very end becomes."""
        return self._decoder.decode(b"", True)


class StopStrings:
    """Finds the first of `stops` in a growing text and holds back only what could still become one.

    The first is the one that ends first; of several that end there, the longest. So the answer does not
    depend on where tokens end. `feed` after a hit is an error of the caller.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = sorted(set(stops), key=len, reverse=True)
        self._longest = len(self._stops[0]) if self._stops else 0
        self._held = ""

    def feed(self, text: str) -> tuple[str, str | None]:
        """(text now free, the stop string that was hit or None). The stop string itself is not given out."""
        if not self._stops:
            return text, None
        text = self._held + text
        hit = self._first_hit(text)
        if hit is not None:
            start, stop = hit
            self._held = ""
            return text[:start], stop
        keep = self._partial(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], None

    def flush(self) -> str:
        """The text that was held back, at the end of the answer."""
        held, self._held = self._held, ""
        return held

    def _first_hit(self, text: str) -> tuple[int, str] | None:
        best: tuple[int, str] | None = None
        for stop in self._stops:
            start = text.find(stop)
            if start >= 0 and (best is None or start + len(stop) < best[0] + len(best[1])):
                best = (start, stop)
        return best

    def _partial(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            tail = text[len(text) - length :]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0
