"""What a dialect gives to answer a generation in it: a rendering of the whole, and one of the stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol

from api.answering.result import Result
from engine.errors import ErrorInfo
from engine.types import Loading, Prefill, Queued, StreamEvent

SSE: Final = b"text/event-stream; charset=utf-8"
NDJSON: Final = b"application/x-ndjson"


class Source(Protocol):
    """What an answer is read from: the engine's streams, and what stands in for them here."""

    id: str

    def __aiter__(self) -> AsyncIterator[StreamEvent]: ...

    def cancel(self) -> None: ...


class Whole(Protocol):
    """Renders an answer when all of it is there."""

    def body(self, result: Result) -> bytes: ...


class Codec(Protocol):
    """Turns events into bytes, one stream long. What it returns is sent as one piece."""

    media_type: bytes
    early: bool
    """Whether the stream begins before the engine has taken the request in."""

    def event(self, event: StreamEvent) -> bytes:
        """The bytes of `event`; empty where the dialect has none. `Done` closes the stream."""
        ...

    def fail(self, error: ErrorInfo) -> bytes:
        """The last bytes of a stream that has begun and cannot go on."""
        ...

    def silence(self) -> bytes:
        """What tells the client that the server is still there; empty where the dialect knows nothing such."""
        ...


class Progress:
    """The last that was heard before the first token, for comments in a stream of server-sent events."""

    def __init__(self) -> None:
        self._text = "waiting"

    def hear(self, event: StreamEvent) -> None:
        match event:
            case Queued(position=position, eta_s=eta):
                self._text = f"queued {position}" + (f" eta {eta:.1f}s" if eta is not None else "")
            case Loading(stage=stage, fraction=fraction):
                self._text = f"loading {stage}" + (f" {fraction:.2f}" if fraction is not None else "")
            case Prefill(done=done, total=total):
                self._text = f"prefill {done}/{total}"
            case _:
                pass

    def comment(self) -> bytes:
        """A line that every reader of such streams passes over."""
        return b": " + self._text.replace("\n", " ").encode() + b"\n\n"
