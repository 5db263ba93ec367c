"""The HTTP server room: every dialect over one engine. Importing this imports neither Litestar nor uvicorn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.hub import LoggedRequest
    from api.security.keyring import Key, Keyring
    from api.server import PortTaken, Server

__all__ = ["Key", "Keyring", "LoggedRequest", "PortTaken", "Server"]

_HOMES = {
    "Key": "api.security.keyring",
    "Keyring": "api.security.keyring",
    "LoggedRequest": "api.hub",
    "PortTaken": "api.server",
    "Server": "api.server",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
