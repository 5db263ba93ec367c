"""The HTTP server room: every dialect over one engine. Importing this imports neither Litestar nor uvicorn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.port_holder import Holder
    from api.port_holder import end as end_holder
    from api.presence import AlreadyRunning, Notice, owning, remove_notice, write_notice
    from api.presence import running as running_server
    from api.presence import stop as stop_server
    from api.request_log import LoggedRequest
    from api.security.keyring import Key, Keyring
    from api.security.passwords import WebPassword
    from api.server import PortTaken, Server

__all__ = [
    "AlreadyRunning",
    "Holder",
    "Key",
    "Keyring",
    "LoggedRequest",
    "Notice",
    "PortTaken",
    "Server",
    "WebPassword",
    "end_holder",
    "owning",
    "remove_notice",
    "running_server",
    "stop_server",
    "write_notice",
]

_HOMES = {
    "AlreadyRunning": ("api.presence", "AlreadyRunning"),
    "Holder": ("api.port_holder", "Holder"),
    "Key": ("api.security.keyring", "Key"),
    "Keyring": ("api.security.keyring", "Keyring"),
    "LoggedRequest": ("api.request_log", "LoggedRequest"),
    "Notice": ("api.presence", "Notice"),
    "PortTaken": ("api.server", "PortTaken"),
    "Server": ("api.server", "Server"),
    "WebPassword": ("api.security.passwords", "WebPassword"),
    "end_holder": ("api.port_holder", "end"),
    "owning": ("api.presence", "owning"),
    "remove_notice": ("api.presence", "remove_notice"),
    "running_server": ("api.presence", "running"),
    "stop_server": ("api.presence", "stop"),
    "write_notice": ("api.presence", "write_notice"),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        module, own_name = _HOMES[name]
        return getattr(import_module(module), own_name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
