"""`GET /requests` and `DELETE /requests/{id}`: what runs and waits now, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, delete, get
from litestar.types import ASGIApp

from api.answering.reply import as_json
from api.errors import NoRoute

if TYPE_CHECKING:
    from api.hub import Hub


@get("/requests", status_code=200)
async def running(request: Request[Any, Any, Any]) -> ASGIApp:
    """Every request of every door, with its place in the line and the wait that is expected."""
    hub: Hub = request.app.state["hub"]
    return as_json({"requests": hub.engine.running()})


@delete("/requests/{request_id:str}", status_code=200)
async def cancel(request: Request[Any, Any, Any]) -> ASGIApp:
    """Cancel the request of that id (`x-request-id` of its answer). Raises NoRoute if it does not run."""
    hub: Hub = request.app.state["hub"]
    request_id: str = request.path_params["request_id"]
    if not await hub.engine.cancel(request_id):
        raise NoRoute(f"No request {request_id[:80]!r} runs.", "It may have ended already.")
    return as_json({"id": request_id, "cancelled": True})
