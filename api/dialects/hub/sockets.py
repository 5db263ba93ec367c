"""`/ws/chat` and `/ws/chat/v2`, as routes. The guard has looked at host, origin and key before anything comes here."""

from __future__ import annotations

from typing import Any

from litestar import WebSocket, websocket


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
