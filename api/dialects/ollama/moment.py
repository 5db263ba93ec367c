"""Times as Ollama writes them: RFC 3339 with nanoseconds, UTC."""

from __future__ import annotations

import time
from typing import Final

FOREVER: Final = "2318-01-01T00:00:00Z"
"""What Ollama's own programs show as for ever: some 292 years ahead."""
_last: tuple[int, str] = (0, "")


def rfc3339(ns: int | None = None) -> str:
    """`ns` nanoseconds since 1970, now if None."""
    global _last
    seconds, rest = divmod(time.time_ns() if ns is None else ns, 10**9)
    known, text = _last
    if known != seconds or not text:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _last = (seconds, text)
    return f"{text}.{rest:09d}Z"


def after(seconds: float) -> str:
    """The moment `seconds` from now."""
    return rfc3339(time.time_ns() + int(seconds * 1e9))
