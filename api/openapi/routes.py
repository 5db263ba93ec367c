"""`GET /openapi.json`, and the page at `/docs` that shows it: three files of this package, nothing from elsewhere."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from litestar import Request, get
from litestar.types import ASGIApp

from api.answering.reply import Reply, as_json

_KINDS: Final = {
    "page.html": b"text/html; charset=utf-8",
    "page.js": b"text/javascript; charset=utf-8",
    "page.css": b"text/css; charset=utf-8",
}
_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        b"form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@get("/openapi.json", status_code=200)
async def openapi(request: Request[Any, Any, Any]) -> ASGIApp:
    """This document."""
    state = request.app.state
    if "document" not in state:
        from api.openapi.document import document

        state["document"] = document(state["handlers"])
    return as_json(state["document"])


@get("/docs", status_code=200)
async def page() -> ASGIApp:
    """The page that shows it, without anything from elsewhere."""
    return _file("page.html")


@get(["/docs/page.js", "/docs/page.css"], status_code=200)
async def part(request: Request[Any, Any, Any]) -> ASGIApp:
    """The page's script and style."""
    return _file(request.scope["path"].rpartition("/")[2])


def _file(name: str) -> Reply:
    return Reply(_read(name), media_type=_KINDS[name], headers=_HEADERS)


@lru_cache(maxsize=8)
def _read(name: str) -> bytes:
    return (files("api.openapi") / name).read_bytes()


ROUTES = [openapi, page, part]
