"""The files that pages are drawn with: styles, scripts and the icon, of this package alone."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from litestar import Request, get
from litestar.types import ASGIApp

from api.answering.reply import Reply
from api.errors import NoRoute
from api.web.drawing import HEADERS

_KINDS: Final = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
}


@get("/chat/static/{name:str}", status_code=200)
async def static(request: Request[Any, Any, Any]) -> ASGIApp:
    """One of them. With its version in the address it may be kept for ever."""
    name: str = request.path_params["name"]
    found = _files().get(name)
    if found is None:
        raise NoRoute("There is no such file.")
    kept = b"public, max-age=31536000, immutable" if "v" in request.query_params else b"no-cache"
    kind = _KINDS["." + name.rpartition(".")[2]]
    return Reply(found, media_type=kind, headers=(*HEADERS, (b"cache-control", kept)))


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    """All of them, by name: what is asked for is looked up, never opened."""
    folder = files("api.web") / "static"
    return {
        each.name: each.read_bytes()
        for each in folder.iterdir()
        if each.is_file() and "." + each.name.rpartition(".")[2] in _KINDS
    }


ROUTES = [static]
