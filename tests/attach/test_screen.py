"""A workstation with the engine of another process: it says where it is, and when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Static

from api import Server
from engine import RemoteEngine, parse_address
from engine.paths import resolve
from engine.settings import Settings
from tests.attach.wire import Wire
from tests.tui.shell.screen_text import shown
from tui.app import HearthApp
from tui.workspaces import WORKSPACES


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await pilot.pause(0.05)


async def test_the_header_says_where_the_engine_is_and_the_pane_what_goes_on_there(
    server: Server, tmp_path: Path
) -> None:
    wire = Wire(server.port)
    home = resolve({"HEARTH_HOME": str(tmp_path)})
    engine = RemoteEngine(parse_address(wire.url, server.hub.token), paths=home)
    await engine.connect()
    places = tuple(each for each in WORKSPACES if each.name in ("server", "models"))
    app = HearthApp(engine, Settings(), paths=home, workspaces=places)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("alt+2")
        await until(pilot, lambda: f"⇄ 127.0.0.1:{wire.port}" in shown(app))
        await engine.models()
        await until(pilot, lambda: "/hearth/v1/models" in shown(app))
        assert "/hearth/v1/http_log" not in shown(app)
        state = str(app.screen.query_one("#switch", Static).content)
        assert state.startswith("⇄ Attached")
        await pilot.press("s")
        assert app.serving.state == "off"
        await pilot.press("alt+1")
        await until(pilot, lambda: "ember" in shown(app))
        wire.cut()
        await until(pilot, lambda: "✗ lost" in shown(app) and f"✗ 127.0.0.1:{wire.port}" in shown(app))
        wire.mend()
        await until(pilot, lambda: f"⇄ 127.0.0.1:{wire.port}" in shown(app))
    await engine.close()
    wire.close()
