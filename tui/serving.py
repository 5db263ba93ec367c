"""The switch of the workstation's own server, which serves the engine that the screen has.

The server runs on a thread and loop of its own. `start` and `stop` wait, so they are called on threads; everything
else answers at once. While it is on it holds the state folder, as `hearth serve` does, so that a second `hearth`
finds it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Literal

from engine.errors import HearthError, Unsupported
from engine.paths import Paths
from engine.settings import Settings

if TYPE_CHECKING:
    from api import LoggedRequest, Server
    from engine import Engine

State = Literal["off", "starting", "on", "stopping"]
MOST_LINES: Final = 500
"""Requests that are remembered, also from before it was last switched off."""


class Serving:
    """Belongs to the app. `changed` counts up whenever something can read differently."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._lock = threading.Lock()
        self._held = contextlib.ExitStack()
        self._server: Server | None = None
        self.state: State = "off"
        self.error: HearthError | None = None
        """Why it is not on though it was to be."""
        self.since = 0.0
        """When it came on, Unix seconds."""
        self.lines: deque[LoggedRequest] = deque(maxlen=MOST_LINES)
        """The request log, oldest first."""
        self.changed = 0

    @property
    def url(self) -> str:
        """Where it listens; empty while it is off."""
        return self._server.url if self._server is not None else ""

    @property
    def host(self) -> str:
        return self._server.host if self._server is not None else ""

    @property
    def port(self) -> int:
        return self._server.port if self._server is not None else 0

    @property
    def answers(self) -> int:
        """How many answers are being sent just now."""
        return len(self._server.hub.live) if self._server is not None else 0

    @property
    def sockets(self) -> int:
        """How many WebSockets are open."""
        return len(self._server.hub.sockets) if self._server is not None else 0

    def start(self, engine: Engine, settings: Settings) -> None:
        """Switch it on, and wait until it listens. Raises what `api.Server.start` and `api.owning` raise."""
        with self._lock:
            if self.state == "on":
                return
            self._to("starting")
            self.error = None
            try:
                self._start(engine, settings)
            except HearthError as error:
                self.error = error
                self._held.close()
                self._server = None
                self._to("off")
                raise
            self.since = time.time()
            self._to("on")

    def stop(self, *, now: bool = False) -> None:
        """Switch it off and wait for that: running answers may go on for a while, unless it is to be `now`.

        A second call while the first waits, with `now`, ends them.
        """
        if now and self.state == "stopping" and self._server is not None:
            self._server.ask_to_stop_now()
            return
        with self._lock:
            if self._server is None:
                return
            self._to("stopping")
            try:
                self._server.stop(now=now)
            finally:
                self._server = None
                self._held.close()
                self._to("off")

    def adopt(self, settings: Settings) -> None:
        """Have it go by changed settings, as far as it can while it runs."""
        if self._server is not None:
            self._server.hub.adopt(settings)

    def _start(self, engine: Engine, settings: Settings) -> None:
        if getattr(engine, "address", None) is not None:
            raise Unsupported(
                "This workstation has no engine to serve.",
                "It works with that of another Hearth.",
                "Serve it there, or open the workstation with: hearth --alone",
            )
        from api import Server, owning, remove_notice, write_notice

        self._held.enter_context(owning(self._paths))
        server = Server(engine, settings, paths=self._paths, on_request=self._keep)
        server.start()
        self._server = server
        self._held.callback(remove_notice, self._paths)
        write_notice(self._paths, server.host, server.port, server.url, workstation=True)

    def _keep(self, line: LoggedRequest) -> None:
        self.lines.append(line)
        self.changed += 1

    def _to(self, state: State) -> None:
        self.state = state
        self.changed += 1
