"""What one route reads and answers, as far as its own code does not say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from api.answering.codec import NDJSON, SSE

EVENTS, LINES = SSE.decode(), NDJSON.decode()


class Operation(Struct, frozen=True, kw_only=True):
    """Types are those that msgspec has a JSON Schema for."""

    body: Any = None
    """The type of the body, or a tuple of several of which it is one; None: none is read."""
    also: tuple[Any, ...] = ()
    """Further types whose fields the body may have."""
    answer: Any = None
    """The type of the answer, or a tuple as for the body; None: it is empty."""
    media: str = "application/json"
    streams: str = ""
    """The media type of an answer that comes piece by piece; empty: none does."""
    stream_only: bool = False
    status: int = 200
    query: Mapping[str, str] = {}
    """Parameters of the query, and what they say."""
    refuses: int = 0
    """The status with which it always answers; 0: it does not."""
