"""What the Server workspace says of the switch, and what it has to ask elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from textual.content import Content

from engine.text_safety import plain

if TYPE_CHECKING:
    from api import LoggedRequest
    from tui.app import HearthApp

RECENT_S = 300.0
AMPLE = 120
"""Cells from which on everything is said."""


def address(app: HearthApp) -> str:
    """Where programs find the server, or will when it is on."""
    if app.connection.attached:
        return str(getattr(app.connection.ready, "address").url)  # noqa: B009  (it is attached)
    if app.serving.url:
        return app.serving.url
    server = app.settings.server
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::", "localhost") else server.host
    return f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}"


def needs_key(app: HearthApp) -> bool:
    """Whether programs have to send a key."""
    server = app.settings.server
    loopback = server.host in ("127.0.0.1", "::1", "localhost")
    return server.auth == "required" or not loopback or app.connection.elsewhere


def switch(app: HearthApp, width: int) -> Content:
    """Two lines: on or off and where; for whom, and what goes on."""
    return Content("\n").join([_state(app), _figures(app, width)])


def _state(app: HearthApp) -> Content:
    serving, key = app.serving, "bold $footer-key-foreground"
    if app.connection.attached:
        where = address(app)
        return Content.assemble(
            ("⇄ Attached  ", "bold $accent"), (where, "bold"), ("  another process serves", "$muted")
        )
    match serving.state:
        case "on":
            return Content.assemble(
                ("● On  ", "bold $state-ready"), (serving.url, "bold"), "   ", ("s", key), (" off", "$muted")
            )
        case "starting":
            return Content.assemble(("◐ Starting …", "bold $state-busy"))
        case "stopping":
            left = serving.answers
            said = f"{left} answer{'' if left == 1 else 's'} may go on"
            said += f" for up to {app.settings.server.drain_seconds:.0f} s"
            return Content.assemble(
                ("◑ Draining  ", "bold $state-busy"), said, "   ", ("s", key), (" end now", "$muted")
            )
        case _ if serving.error is not None:
            return Content.assemble(
                ("✗ Off  ", "bold $error"),
                plain(serving.error.what, 100),
                "   ",
                ("s", key),
                (" on", "$muted"),
            )
        case _:
            return Content.assemble(
                ("○ Off  ", "bold $state-off"),
                (f"would listen on {address(app)}", "$muted"),
                "   ",
                ("s", key),
                (" on", "$muted"),
            )


def _figures(app: HearthApp, width: int) -> Content:
    server = app.settings.server
    if app.connection.elsewhere:
        return Content.styled(
            "Its requests and what runs there; keys and access are set on that machine.", "$muted"
        )
    here = server.host in ("127.0.0.1", "::1", "localhost")
    said = [
        "this machine alone" if here else "every network" if server.host in ("0.0.0.0", "::") else server.host
    ]
    said.append("key needed" if needs_key(app) else "no key needed here")
    if app.serving.state == "on":
        now = time.time()
        lately = {
            line.client for line in list(app.serving.lines) if now - line.t_unix < RECENT_S and line.client
        }
        said.append(f"{len(lately)} client{'' if len(lately) == 1 else 's'} lately")
        said.append(f"{app.serving.answers} streaming")
        if app.serving.sockets and width >= AMPLE:
            said.append(f"{app.serving.sockets} open socket{'' if app.serving.sockets == 1 else 's'}")
        if width >= AMPLE:
            said.append(f"since {time.strftime('%H:%M', time.localtime(app.serving.since))}")
    if server.log_prompts:
        said.append("prompts shown")
    return Content.styled(" · ".join(said), "$muted")


async def remote_lines(engine: Any) -> list[LoggedRequest]:
    """The request log of the server that one is attached to. Raises HearthError."""
    from api import LoggedRequest

    found = await engine.server_log(200)
    return msgspec.convert(found, list[LoggedRequest])
