"""The Server workspace: the switch above, lists of requests, keys, access and snippets below, a row's detail beside."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.errors import HearthError
from engine.text_safety import plain
from tui.actions import bindings
from tui.row_list import RowList
from tui.screens.server import switching, telling, views
from tui.screens.server.actions import ACTIONS
from tui.screens.server.settings import allow, change, forbid, write
from tui.screens.server.snippets import snippets
from tui.view_line import ViewLine
from tui.workspace_screen import WorkspaceScreen

if TYPE_CHECKING:
    from api import Key, Keyring, LoggedRequest

INTERVAL_S = 0.5
KEYS_S = 2.0
"""How often the keys are read again: another program may make or revoke one."""
_OFF = "The server is off.\n\ns switches it on; then other programs can use the models of this machine."
LISTS = {"origin": "server.allowed_origins", "host": "server.allowed_hosts"}


class ServerRows(RowList):
    """The rows of the list that is shown."""

    HELP = """The requests, keys, origins or snippets of the server. Left and right go to the other lists; up and down
    choose; enter opens what is highlighted; y copies it."""


class Detail(VerticalScroll):
    """Everything about the highlighted row."""

    HELP = "Everything about the highlighted row; of a request also where its time went."
    BINDING_GROUP_TITLE = "Detail"


class ServerScreen(WorkspaceScreen):
    """On, off, and who asks what."""

    CSS_PATH = "server.tcss"
    BINDINGS = bindings(ACTIONS, "server")
    INSPECTOR = "#detail"
    AUTO_FOCUS = "#rows"

    def __init__(self) -> None:
        super().__init__()
        self.view = views.NAMES[0]
        self.known = views.Known()
        self._keys: tuple[Key, ...] = ()
        self._keys_read = float("-inf")
        self._ring: Keyring | None = None
        self._remote: list[LoggedRequest] = []
        self._drawn: Any = None

    def compose_workspace(self) -> ComposeResult:
        """The switch, the lists, the detail."""
        yield Static("", id="switch", markup=False)
        yield ViewLine()
        with Container(id="lists"):
            yield ServerRows(id="rows")
            yield Static("", id="empty", markup=False)
            with Detail(id="detail"):
                yield Static("", id="about", markup=False)

    def on_mount(self) -> None:
        """Read now and twice a second while in sight."""
        self.set_interval(INTERVAL_S, self._look_if_shown)
        self.hearth.settings_changed.subscribe(self, lambda _: self._look())
        self._look()

    def on_screen_resume(self) -> None:
        """Come back with what changed meanwhile."""
        super().on_screen_resume()
        if self.is_mounted:
            self._look()

    def on_resize(self) -> None:
        """What is drawn follows the room."""
        self._drawn = None
        self.call_after_refresh(self.redraw)

    def views(self) -> list[tuple[str, str, int]]:
        """The lists, with the number of their rows."""
        return [
            (name, views.TITLES[name], len(views.keys_of(name, self.known)) if name != "clients" else 0)
            for name in views.NAMES
        ]

    # --- data

    def _look_if_shown(self) -> None:
        if self.is_current:
            self._look()

    def _look(self) -> None:
        """Gather what is known; what takes time is asked for behind it."""
        app = self.hearth
        engine = app.connection.ready
        lines = self._remote if app.connection.attached else list(app.serving.lines)
        # This very look is none that a person made.
        running = [] if engine is None else engine.running()
        url = telling.address(app)
        self.known = views.Known(
            lines=tuple(reversed(lines)),
            running=tuple(running),
            keys=self._keys,
            settings=app.settings,
            snippets=snippets(url, app.chat_model or "ember", needs_key=telling.needs_key(app)),
            now_ns=time.monotonic_ns(),
            now=time.time(),
        )
        if time.monotonic() - self._keys_read > KEYS_S:
            self._keys_read = time.monotonic()
            self.run_worker(self._read_keys, group="keys", exclusive=True)
        if app.connection.attached:
            self.run_worker(self._read_remote, group="remote", exclusive=True)
        self.redraw()

    async def _read_keys(self) -> None:
        if self.hearth.connection.elsewhere:
            return
        try:
            found = await asyncio.to_thread(lambda: tuple(self._keyring().keys()))
        except HearthError as error:
            self.hearth.show_error(error)
            return
        if found != self._keys:
            self._keys = found
            self._look()

    async def _read_remote(self) -> None:
        engine = self.hearth.connection.ready
        try:
            self._remote = await telling.remote_lines(engine)
        except HearthError:
            # The header says that it is lost.
            return

    def _keyring(self) -> Keyring:
        if self._ring is None:
            from api import Keyring

            self._ring = Keyring(self.hearth.paths)
        return self._ring

    # --- drawing

    def redraw(self) -> None:
        """Show what is known."""
        if not self.is_mounted:
            return
        rows = self.query_one(RowList)
        keys = views.keys_of(self.view, self.known)
        nothing = self._nothing()
        now = (
            self.view,
            nothing,
            self.known.lines,
            self.known.running,
            self.known.keys,
            self.known.settings.server,
            keys,
        )
        self.query_one("#switch", Static).update(telling.switch(self.hearth, self.size.width))
        if now == self._drawn:
            return
        self._drawn = now
        self.query_one(ViewLine).refresh()
        self.set_class(not keys, "-empty")
        self.query_one("#empty", Static).update(nothing)
        known, view = self.known, self.view
        rows.show(views.COLUMNS[view], keys, lambda place, column: views.cell(view, known, place, column))
        self._draw_detail()

    def _nothing(self) -> str:
        if self.view == "requests" and not self.hearth.connection.attached:
            match self.hearth.serving.state:
                case "off":
                    return _OFF
                case "starting":
                    return "The server is starting."
                case "stopping":
                    return "The server is being switched off; nobody had asked anything."
        if self.view == "keys" and self.hearth.connection.elsewhere:
            return "Keys lie on the machine of the server.\n\nThere: hearth keys create NAME"
        return views.EMPTY[self.view]

    @on(RowList.Moved)
    def _draw_detail(self) -> None:
        place = self._place
        about = self.query_one("#about", Static)
        if place is None:
            about.update("")
            return
        room = max(20, self.query_one(Detail).scrollable_content_region.width)
        about.update(Content("\n").join(views.detail(self.view, self.known, place, room)))

    @property
    def _place(self) -> int | None:
        keys = views.keys_of(self.view, self.known)
        key = self.query_one(RowList).key
        return keys.index(key) if key in keys else None

    # --- what happens

    def action_go(self, view: str) -> None:
        """Show another list."""
        self.view = view
        self.remove_class("-opened")
        self._look()
        self.query_one(RowList).focus()

    def action_view(self, step: int) -> None:
        """Show the next list, or the one before."""
        place = views.NAMES.index(self.view) + step
        self.action_go(views.NAMES[place % len(views.NAMES)])

    @on(RowList.Chosen)
    def action_open(self) -> None:
        """Give the detail all the room, or take it back; an origin that was turned away is let in."""
        place = self._place
        if place is None:
            return
        if self.view == "access":
            kind, value, source = views.access(self.known)[place]
            if source != "settings":
                self._ask(allow(self.hearth, LISTS[kind], value))
            return
        self.toggle_class("-opened")
        if self.has_class("-opened"):
            self.query_one(Detail).focus()
        else:
            self.query_one(RowList).focus()
        self.call_after_refresh(self._draw_detail)

    def action_back(self) -> None:
        """Give the list its room again, and the focus."""
        opened = self.has_class("-opened")
        self.remove_class("-opened")
        self.query_one(RowList).focus()
        if opened:
            self.call_after_refresh(self._draw_detail)

    def action_switch(self) -> None:
        """Switch the server on, or off."""
        app = self.hearth
        if app.connection.attached:
            app.flash(f"The server at {app.connection.attached} is another process's: hearth stop ends it.")
        elif app.serving.state in ("off", "starting"):
            self._ask(switching.switch_on(app), "switch")
        else:
            self._ask(switching.switch_off(app), "switch off")

    def action_end(self) -> None:
        """Cancel the request, revoke the key, or take the origin back that is highlighted."""
        place = self._place
        if place is None:
            return
        if self.view == "running":
            self._ask(self._cancel(self.known.running[place].id))
        elif self.view == "keys" and not self.known.keys[place].revoked:
            self._ask(self._revoke(self.known.keys[place]))
        elif self.view == "access":
            kind, value, source = views.access(self.known)[place]
            if source == "settings":
                self._ask(forbid(self.hearth, LISTS[kind], value))

    async def _cancel(self, request: str) -> None:
        ended = await self.hearth.engine.cancel(request)
        self.hearth.flash("The request is cancelled." if ended else "It has ended already.")
        self._look()

    async def _revoke(self, key: Key) -> None:
        from tui.confirm import Confirm

        sure = await self.app.push_screen_wait(
            Confirm(f"Revoke the key {plain(key.name, 40)}?", "What it runs ends, and it never works again.")
        )
        if sure:
            await asyncio.to_thread(self._keyring().revoke, key.id)
            self.hearth.flash(f"{plain(key.name, 40)} is revoked.", "success")
            await self._read_keys()

    def action_new_key(self) -> None:
        """Make a key."""
        if self.hearth.connection.elsewhere:
            self.hearth.flash(
                "Keys are made on the machine of the server: hearth keys create NAME", "warning"
            )
            return
        self._ask(self._new_key())

    async def _new_key(self) -> None:
        from tui.screens.server.new_key import MadeKey, NewKey

        wish = await self.app.push_screen_wait(NewKey())
        if wish is None:
            return
        make = partial(self._keyring().create, wish.name, wish.scopes, lifetime=wish.lifetime)
        _, secret = await asyncio.to_thread(make)
        if await self.app.push_screen_wait(MadeKey(wish.name, secret)):
            self.hearth.copy(secret)
        await self._read_keys()

    def action_allow(self, kind: str) -> None:
        """Let an origin or a host name in; one that was turned away lately is offered."""
        waiting = [
            value for each, value, source in views.access(self.known) if each == kind and source != "settings"
        ]
        self._ask(allow(self.hearth, LISTS[kind], waiting[0] if waiting else ""))

    def action_set(self, key: str) -> None:
        """Change address or port; a server that is on is switched off and on again."""
        self._ask(self._set(key))

    async def _set(self, key: str) -> None:
        app = self.hearth
        if await change(app, key) and app.serving.state == "on":
            await asyncio.to_thread(app.serving.stop)
            await switching.switch_on(app)

    def action_prompts(self) -> None:
        """Show prompts in the log, or no more."""
        wanted = not self.hearth.settings.server.log_prompts
        self._ask(write(self.hearth, "server.log_prompts", "true" if wanted else "false"))
        self.hearth.flash(
            "Prompts of new requests are shown." if wanted else "Prompts are not kept any more."
        )

    def action_copy_row(self) -> None:
        """Copy the snippet, or what the detail says."""
        place = self._place
        if place is None:
            return
        if self.view == "clients":
            self.hearth.copy(self.known.snippets[place].text)
        else:
            lines = views.detail(self.view, self.known, place, 60)
            self.hearth.copy("\n".join(line.plain.rstrip() for line in lines))

    def action_copy_address(self) -> None:
        """Copy where the server is, or will be."""
        self.hearth.copy(telling.address(self.hearth))

    def _ask(self, work: Any, group: str = "asked") -> None:
        """Run what waits for dialogues; errors are shown."""
        self.run_worker(self._shown(work), group=group)

    async def _shown(self, work: Any) -> None:
        try:
            await work
        except HearthError as error:
            self.hearth.show_error(error)
        self._keys_read = float("-inf")
        self._look()
