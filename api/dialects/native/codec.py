"""The engine's events themselves as server-sent events: `event:` is the kind, `id:` its number, the data the Struct."""

from __future__ import annotations

import msgspec

from api.answering.codec import SSE
from api.answering.result import Result
from engine.errors import ErrorInfo
from engine.types import Failed, StreamEvent

_json = msgspec.json.Encoder()


class NativeCodec:
    """Every event, waiting and loading too."""

    media_type = SSE
    early = True

    def __init__(self) -> None:
        self._seq = 0

    def event(self, event: StreamEvent) -> bytes:
        self._seq = event.seq
        kind = event.__struct_config__.tag
        return b"event: %s\nid: %d\ndata: %s\n\n" % (str(kind).encode(), event.seq, _json.encode(event))

    def fail(self, error: ErrorInfo) -> bytes:
        return self.event(Failed(seq=self._seq + 1, error=error))

    def silence(self) -> bytes:
        return b": waiting\n\n"


class NativeWhole:
    """Never asked: native generations are streams."""

    def body(self, result: Result) -> bytes:
        raise AssertionError("a native generation is a stream")
