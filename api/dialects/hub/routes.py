"""The hub's routes, gathered."""

from __future__ import annotations

from api.dialects.hub import chat, health, requests, sockets

ROUTES = [
    health.root, health.health, health.hardware, chat.chat, chat.load_adapter, chat.adapters, requests.running,
    requests.cancel, sockets.chat, sockets.chat_v2, sockets.ticket,
]  # fmt: skip
