"""Which response is meant by an id: one made while its client waited, or one of the background."""

from __future__ import annotations

from typing import Any

from litestar import Request

from api.answering.call import Call
from api.dialects.responses import background
from api.dialects.responses.store import Kept, Responses
from api.errors import NoRoute
from api.reading.fields import Fields
from engine.types import Message


def call_of(request: Request[Any, Any, Any]) -> Call:
    """A call whose body is not read."""
    return Call(request, request.app.state["hub"], Fields({}))


def foreground(request: Request[Any, Any, Any], id: str) -> Kept | None:
    """The response of that id that was made while its client waited, if there is one of the caller's."""
    scope: Any = request.scope
    last = scope.get("hearth.last_response") or {}
    if id in last:
        found: Kept = last[id]
        return found
    store: Responses = request.app.state["responses"]
    try:
        return store.find(id, call_of(request).principal)
    except NoRoute:
        return None


async def conversation(request: Request[Any, Any, Any], id: str) -> tuple[Message, ...]:
    """All that was said up to the response of that id, and its answer. Raises NoRoute."""
    found = foreground(request, id)
    if found is None:
        call = call_of(request)
        found = background.kept_of(await background.find(call.hub, id, call.principal))
    return found.messages
