"""An answer whose bytes are known, as an ASGI app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from api import errors
from engine.errors import ErrorInfo

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

JSON = b"application/json"


class Reply:
    """Sends `body`; a HEAD request gets the headers alone."""

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        media_type: bytes = JSON,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self.body, self.status = body, status
        self.headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode()), *headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Any = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        is_head = scope.get("method") == "HEAD"
        end: Any = {"type": "http.response.body", "body": b"" if is_head else self.body, "more_body": False}
        await send(end)


def as_json(value: Any, *, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> Reply:
    """`value` as a JSON answer."""
    return Reply(msgspec.json.encode(value), status=status, headers=headers)


def as_text(text: str, *, status: int = 200, media_type: str = "text/plain; charset=utf-8") -> Reply:
    """`text` as it is."""
    return Reply(text.encode(), status=status, media_type=media_type.encode())


def as_error(error: ErrorInfo, dialect: errors.Dialect, *, model: str = "", request_id: str = "") -> Reply:
    """`error` in the words of `dialect`."""
    return Reply(
        errors.encoded(error, dialect, model=model, request_id=request_id),
        status=errors.status_of(error, dialect),
        headers=errors.headers_of(error, dialect),
    )
