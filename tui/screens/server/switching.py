"""On and off: what is asked, what is said, and what may be done where the port is somebody else's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from engine.errors import ErrorInfo, HearthError
from engine.text_safety import clean, plain
from tui.dialogue import Dialogue

if TYPE_CHECKING:
    from api import Holder
    from tui.app import HearthApp

STOP_S = 20.0
"""How long another server may take to end."""


class PortHeld(Dialogue[str]):
    """Says who listens on the port; closes with `other`, `stop` or nothing."""

    HELP = "Somebody else listens on the server's port. Choose another one, or end a Hearth of your own that does."
    DEFAULT_CSS = """
    PortHeld Static { height: auto; }
    PortHeld .why, PortHeld .keys { margin-top: 1; color: $muted; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("p,enter", "answer('other')", "Another port", id="port_held.other"),
        Binding("s", "answer('stop')", "Stop it", id="port_held.stop"),
        Binding("escape,n", "answer('')", "Leave it", id="port_held.leave"),
    ]

    def __init__(self, error: ErrorInfo, holder: Holder | None) -> None:
        super().__init__()
        self._error, self._holder = error, holder

    def compose(self) -> ComposeResult:
        """Who, and what can be done."""
        held = self._holder
        with Vertical(classes="dialogue") as box:
            box.border_title = "The port is taken"
            yield Static(Content.styled(clean(self._error.what), "bold"))
            if held is None:
                yield Static(
                    Content("Another program listens there; which one is hidden from you."), classes="why"
                )
            else:
                whose = "A Hearth of yours" if held.hearth else "Another program, which is left alone"
                yield Static(
                    Content.assemble(
                        (f"{whose}:\n", ""), f"process {held.pid}  ", (plain(held.command, 200), "$muted")
                    ),
                    classes="why",
                )
            keys = "p another port (enter)   " + ("s stop it   " if self._stoppable else "") + "esc leave it"
            yield Static(Content(keys), classes="keys")

    @property
    def _stoppable(self) -> bool:
        return self._holder is not None and self._holder.hearth

    def action_answer(self, answer: str) -> None:
        """Close with it; a stranger cannot be stopped."""
        if answer != "stop" or self._stoppable:
            self.dismiss(answer)


async def switch_on(app: HearthApp) -> None:
    """Switch the server on; asks what to do where something stands in the way."""
    engine = await app.connection.reached()
    while True:
        try:
            await asyncio.to_thread(app.serving.start, engine, app.settings)
        except HearthError as error:
            if not await _removed(app, error):
                return
        else:
            app.flash(f"The server listens on {app.serving.url}.", "success")
            return


async def switch_off(app: HearthApp) -> None:
    """Switch it off, letting answers that are being written go on for a while; asked again, at once."""
    again = app.serving.state == "stopping"
    answers = app.serving.answers
    if answers and not again:
        app.flash(f"{answers} answers may go on for a while; s again ends them now.", "info")
    await asyncio.to_thread(app.serving.stop, now=again)
    if not again:
        app.flash("The server is off.")


async def _removed(app: HearthApp, error: HearthError) -> bool:
    """Deal with what kept the server from starting; whether to try again."""
    from api import AlreadyRunning, PortTaken, running_server

    if isinstance(error, PortTaken):
        answer = await app.push_screen_wait(PortHeld(error.info, error.holder))
        if answer == "other":
            return await _other_port(app)
        if answer == "stop" and error.holder is not None:
            return await _stopped(app, error.holder)
        return False
    if isinstance(error, AlreadyRunning):
        there = await asyncio.to_thread(running_server, app.paths)
        if there is not None and not there.workstation:
            from tui.confirm import Confirm

            question = f"Stop the server of yours on port {there.port}?"
            detail = f"It runs behind a terminal (process {there.pid}) and holds the state folder."
            if await app.push_screen_wait(Confirm(question, detail)):
                return await _ended(app)
            return False
    app.show_error(error)
    return False


async def _other_port(app: HearthApp) -> bool:
    from tui.screens.server.settings import change

    free = await asyncio.to_thread(free_port, app.settings.server.host, app.settings.server.port)
    return await change(app, "server.port", str(free))


async def _stopped(app: HearthApp, holder: Holder) -> bool:
    from api import end_holder

    app.flash("Waiting for the other server to end …", seconds=STOP_S)
    if await asyncio.to_thread(end_holder, holder, STOP_S):
        return True
    app.flash("It does not end. hearth stop --force ends it.", "error")
    return False


async def _ended(app: HearthApp) -> bool:
    from api import stop_server

    app.flash("Waiting for the other server to end …", seconds=STOP_S)
    try:
        await asyncio.to_thread(stop_server, app.paths, force=False, patience=STOP_S)
    except HearthError as error:
        app.show_error(error)
        return False
    return True


def free_port(host: str, port: int) -> int:
    """The next port that can be had, or one that the system gives."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for tried in (*range(port + 1, min(port + 20, 65536)), 0):
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            try:
                trial.bind((host, tried))
            except OSError:
                continue
            found: int = trial.getsockname()[1]
            return found
    return port
