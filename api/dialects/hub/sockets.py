"""`/ws/chat` and `/ws/chat/v2`, as routes. The guard has looked at host, origin and key before anything comes here.

A page in a browser, which sends no key with a handshake, fetches a ticket for it with `POST /ws/ticket`.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, WebSocket, post, websocket
from litestar.types import ASGIApp

from api.answering.reply import as_json
from api.security.tickets import LIFETIME_S


@post("/ws/ticket", status_code=200)
async def ticket(request: Request[Any, Any, Any]) -> ASGIApp:
    """A ticket that opens one socket as the caller: `/ws/chat/v2?ticket=…`, within 30 seconds."""
    scope: Any = request.scope
    given = request.app.state["hub"].tickets.give(scope["hearth.principal"])
    return as_json({"ticket": given, "expires_in": LIFETIME_S})


@websocket("/ws/chat")
async def chat(socket: WebSocket[Any, Any, Any]) -> None:
    """One message, one answer."""
    from api.sockets.plain import PlainChat

    await PlainChat(socket).serve()


@websocket("/ws/chat/v2")
async def chat_v2(socket: WebSocket[Any, Any, Any]) -> None:
    """Streams that can be cancelled and resumed."""
    from api.sockets.session import SessionChat

    await SessionChat(socket, socket.app.state["generations"]).serve()
