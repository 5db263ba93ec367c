"""Errors of the web page: as a page, as a line on the page that is there, or as JSON for who wants no HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from api import errors
from api.security.pages import LOGIN
from api.web.drawing import HEADERS, HTML, drawn
from engine.errors import ErrorInfo

_SIGN_IN: Final = "sign_in_needed"


class Refusal(Struct, frozen=True):
    """An answer to a request that was refused."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def refusal(error: ErrorInfo, path: str, headers: Mapping[str, str], request_id: str) -> Refusal:
    """What becomes of `error` for a request to `path` with these headers (lower-case names).

    Who is not signed in is led to where they can do so; htmx gets a line for the page's notice, and swaps nothing.
    """
    status = errors.status_of(error, "web")
    said = errors.headers_of(error, "web")
    login = f"{LOGIN}?next={quote(path)}".encode()
    if "hx-request" in headers:
        if error.code == _SIGN_IN:
            here = headers.get("hx-current-url", "")
            back = "/" + here.split("/", 3)[3] if here.count("/") >= 3 else path
            return Refusal(status, [*said, (b"hx-redirect", f"{LOGIN}?next={quote(back)}".encode())], b"")
        body = drawn("parts/notice.html", error=error).encode()
        return _html(status, [*said, (b"hx-reswap", b"none")], body)
    if "text/html" in headers.get("accept", ""):
        if error.code == _SIGN_IN:
            return _html(303, [(b"location", login)], b"")
        return _html(status, said, drawn("refused.html", error=error, request_id=request_id).encode())
    body = errors.encoded(error, "web")
    kind = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return Refusal(status, [*kind, *said], body)


def _html(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Refusal:
    length = (b"content-length", str(len(body)).encode())
    return Refusal(status, [(b"content-type", HTML), length, *HEADERS, *headers], body)
