"""The Server workspace over a real server: on and off, who asks what, keys, access, a port that is taken."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from api import Keyring, running_server
from engine import LocalEngine
from engine.paths import Paths
from tests.cli.terminal import environment, hearth
from tests.tui.server.conftest import Make
from tui.app import HearthApp
from tui.screens.server.new_key import MadeKey, NewKey
from tui.screens.server.screen import ServerScreen
from tui.screens.server.switching import PortHeld

LONG = "scripted:tokens=100000,delay_ms=5,context=200000"
HELLO = [{"role": "user", "content": "Hello"}]


@asynccontextmanager
async def shown(
    app: HearthApp, size: tuple[int, int] = (120, 36)
) -> AsyncIterator[tuple[Pilot[None], ServerScreen]]:
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.1)
        screen = app.screen
        assert isinstance(screen, ServerScreen)
        yield pilot, screen


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await pilot.pause(0.05)


async def switched_on(pilot: Pilot[None], app: HearthApp) -> None:
    await pilot.press("s")
    await until(pilot, lambda: app.serving.state == "on")


def said(screen: ServerScreen, selector: str) -> str:
    return str(screen.query_one(selector, Static).content)


async def test_on_found_by_others_and_off(make_app: Make, home: Paths, port: int) -> None:
    app = make_app()
    async with shown(app) as (pilot, screen):
        assert "Off" in said(screen, "#switch") and str(port) in said(screen, "#switch")
        assert said(screen, "#empty").startswith("The server is off.")
        await switched_on(pilot, app)
        await until(pilot, lambda: said(screen, "#empty").startswith("The server is on; nobody has asked"))
        notice = running_server(home)
        assert notice is not None and notice.workstation and (notice.pid, notice.port) == (os.getpid(), port)
        await until(pilot, lambda: f"http://127.0.0.1:{port}" in said(screen, "#switch"))
        async with httpx.AsyncClient(base_url=app.serving.url) as client:
            assert (await client.get("/api/version")).status_code == 200
        await pilot.press("s")
        await until(pilot, lambda: app.serving.state == "off")
        assert running_server(home) is None
        # What was asked is still there to be read.
        await until(pilot, lambda: len(screen.known.lines) == 1)


async def test_a_request_is_logged_with_its_time_and_no_word_of_it(make_app: Make) -> None:
    app = make_app()
    async with shown(app) as (pilot, screen):
        await switched_on(pilot, app)
        ask = {"model": "ember", "messages": HELLO, "max_tokens": 6, "temperature": 0.25}
        async with httpx.AsyncClient(base_url=app.serving.url, timeout=60) as client:
            response = await client.post("/v1/chat/completions", json=ask, headers={"user-agent": "probe/1"})
            assert response.status_code == 200
            await client.post("/v1/chat/completions", json={**ask, "model": "nobody"})
        await until(pilot, lambda: len(screen.known.lines) == 2)
        refused, answered = screen.known.lines
        assert (refused.status, refused.outcome, refused.model) == (404, "model_not_found", "nobody")
        assert (answered.client, answered.dialect, answered.model) == ("probe", "openai", "ember")
        assert answered.completion_tokens == 6 and answered.prompt_tokens > 0
        assert answered.options["temperature"] == "0.25" and answered.options["max_tokens"] == "6"
        assert answered.prefill_s > 0 and answered.decode_s > 0
        assert answered.queue_s + answered.load_s + answered.prefill_s + answered.decode_s <= answered.seconds
        assert answered.prompt == ""
        await pilot.press("down")
        await until(pilot, lambda: "decode" in said(screen, "#about"))
        about = said(screen, "#about")
        assert "prefill" in about and "temperature" in about and "Hello" not in about


async def test_escape_goes_back_from_a_row_that_was_opened(make_app: Make) -> None:
    app = make_app()
    async with shown(app) as (pilot, screen):
        await pilot.press("left")  # the snippets, which are always there
        await until(pilot, lambda: screen.view == "clients" and screen.query_one("#rows").has_focus)
        await pilot.press("enter")
        await until(pilot, lambda: screen.has_class("-opened") and screen.query_one("#detail").has_focus)
        await pilot.press("escape")
        await until(pilot, lambda: not screen.has_class("-opened") and screen.query_one("#rows").has_focus)
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is screen and screen.query_one("#rows").has_focus


async def test_prompts_are_shown_when_the_setting_asks_for_it(make_app: Make) -> None:
    app = make_app(log_prompts=True)
    async with shown(app) as (pilot, screen):
        await switched_on(pilot, app)
        async with httpx.AsyncClient(base_url=app.serving.url, timeout=60) as client:
            await client.post(
                "/api/generate",
                json={"model": "ember", "prompt": "Tell of lions", "options": {"num_predict": 2}},
            )
        await until(pilot, lambda: "Tell of lions" in said(screen, "#about"))


async def test_running_requests_are_listed_and_cancelled(make_app: Make, engine: LocalEngine) -> None:
    app = make_app()
    async with shown(app) as (pilot, screen):
        await switched_on(pilot, app)
        from engine.types import GenerationRequest

        stream = engine.generate(GenerationRequest(model=LONG, prompt="x", client="someone", source="openai"))
        await pilot.press("right")
        await until(pilot, lambda: any(each.id == stream.id for each in screen.known.running))
        await pilot.press("x")
        end = await stream.wait()
        assert getattr(end, "reason", "") == "cancelled"


async def test_switching_off_lets_answers_end_and_tells_those_that_do_not(make_app: Make) -> None:
    app = make_app(drain_seconds=20.0)
    async with shown(app) as (pilot, screen):
        await switched_on(pilot, app)
        async with httpx.AsyncClient(base_url=app.serving.url, timeout=60) as client:
            assert app.serving._server is not None
            app.serving._server.hub._scripted = (
                True  # a real one would be at its end before the screen is read
            )
            ask = {"model": LONG, "prompt": "Count for ever", "stream": True}
            async with client.stream("POST", "/api/generate", json=ask) as response:
                lines = response.aiter_lines()
                await anext(lines)
                await pilot.press("s")
                await until(pilot, lambda: "Draining" in said(screen, "#switch"))
                assert "1 answer" in said(screen, "#switch")
                late = await client.get("/api/tags")
                assert late.status_code == 503
                await pilot.press("s")
                last: dict[str, Any] = {}
                async for line in lines:
                    last = json.loads(line)
                assert "shutting down" in last["error"]
        await until(pilot, lambda: app.serving.state == "off")


async def test_a_key_is_shown_once_and_revoked(make_app: Make, home: Paths) -> None:
    app = make_app(auth="required")
    async with shown(app) as (pilot, screen):
        await switched_on(pilot, app)
        await pilot.press("right", "right", "n")
        await until(pilot, lambda: isinstance(app.screen, NewKey))
        await pilot.press(*"bob", "enter")
        await until(pilot, lambda: isinstance(app.screen, MadeKey))
        secret = str(app.screen.query_one("#secret", Static).content)
        await pilot.press("escape")
        await until(pilot, lambda: [key.name for key in screen.known.keys] == ["bob"])
        assert secret not in str(screen.known.keys) and secret not in said(screen, "#about")
        assert "generate" in said(screen, "#about")
        async with httpx.AsyncClient(base_url=app.serving.url) as client:
            assert (await client.get("/v1/models")).status_code == 401
            bearer = {"authorization": f"Bearer {secret}"}
            assert (await client.get("/v1/models", headers=bearer)).status_code == 200
            await pilot.press("x", "y")
            await until(pilot, lambda: screen.known.keys[0].revoked)
            async with asyncio.timeout(10):
                while (await client.get("/v1/models", headers=bearer)).status_code != 401:
                    await asyncio.sleep(0.1)
    kept = Keyring(home).keys()
    assert [key.revoked for key in kept] == [True]


async def test_an_origin_that_was_turned_away_is_let_in_by_two_keys(make_app: Make, home: Paths) -> None:
    app = make_app()
    page = {"origin": "http://localhost:3000"}
    async with shown(app) as (pilot, screen):
        await switched_on(pilot, app)
        async with httpx.AsyncClient(base_url=app.serving.url) as client:
            assert (await client.get("/v1/models", headers=page)).status_code == 403
            await until(pilot, lambda: bool(screen.known.lines) and screen.known.lines[0].refused != "")
            await pilot.press("o")
            await until(pilot, lambda: bool(app.screen.query(Input)))
            await pilot.press("enter")
            await until(pilot, lambda: app.settings.server.allowed_origins == ("http://localhost:3000",))
            assert (await client.get("/v1/models", headers=page)).status_code == 200
            assert "http://localhost:3000" in home.config_file.read_text()
            # And taken back where it is listed.
            await pilot.press("right", "right", "right", "x")
            await until(pilot, lambda: app.settings.server.allowed_origins == ())
            assert (await client.get("/v1/models", headers=page)).status_code == 403
            strange = {"host": "studio.local"}
            assert (await client.get("/v1/models", headers=strange)).status_code == 403
            await until(
                pilot, lambda: any(line.refused == "host studio.local" for line in screen.known.lines)
            )
            await pilot.press("h", "enter")
            await until(pilot, lambda: app.settings.server.allowed_hosts == ("studio.local",))
            assert (await client.get("/v1/models", headers=strange)).status_code == 200


async def test_a_port_of_a_stranger_is_left_alone(make_app: Make, port: int, home: Paths) -> None:
    stranger = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await _listens(port)
        app = make_app()
        async with shown(app) as (pilot, _screen):
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, PortHeld))
            text = " ".join(str(each.content) for each in app.screen.query(Static))
            assert str(stranger.pid) in text and "http.server" in text and "stop it" not in text
            await pilot.press("s")
            assert isinstance(app.screen, PortHeld) and stranger.poll() is None
            await pilot.press("p")
            await until(pilot, lambda: bool(app.screen.query(Input)))
            assert app.screen.query_one(Input).value != str(port)
            await pilot.press("enter")
            await until(pilot, lambda: app.serving.state == "on")
            assert app.serving.port != port and stranger.poll() is None
            assert str(app.serving.port) in home.config_file.read_text()
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.long
async def test_a_hearth_of_this_user_on_the_port_can_be_stopped(
    make_app: Make, port: int, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    server = subprocess.Popen(
        hearth("serve", "--port", str(port)), env=environment(other), stderr=subprocess.DEVNULL, cwd=other
    )
    try:
        await _listens(port)
        app = make_app()
        async with shown(app) as (pilot, _screen):
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, PortHeld))
            await pilot.press("s")
            await until(pilot, lambda: app.serving.state == "on")
            assert app.serving.port == port and await asyncio.to_thread(server.wait, 20) == 0
    finally:
        server.kill()
        server.wait()


async def test_a_server_elsewhere_is_beyond_reach_without_a_key(make_app: Make) -> None:
    app = make_app(host="0.0.0.0")
    async with shown(app) as (pilot, _screen):
        await pilot.press("s")
        await until(pilot, lambda: app.screen.is_modal)
        assert app.serving.state == "off" and "without a key" in str(app.serving.error)


@pytest.mark.parametrize(
    "size", [(48, 20), *(pytest.param(size, marks=pytest.mark.long) for size in ((200, 60),))]
)
async def test_every_list_is_drawn_in_every_size(make_app: Make, size: tuple[int, int]) -> None:
    app = make_app()
    async with shown(app, size) as (pilot, screen):
        await switched_on(pilot, app)
        async with httpx.AsyncClient(base_url=app.serving.url) as client:
            await client.get("/v1/models")
        await until(pilot, lambda: bool(screen.known.lines))
        for _ in range(5):
            await pilot.press("right", "down", "enter", "enter")
            await pilot.pause(0.05)
        await pilot.press("left")
        assert screen.view == "clients"
        assert app.serving.url in said(screen, "#about")
        rows = screen.query_one("#rows")
        assert all(rows.render_line(line).cell_length <= rows.size.width for line in range(rows.size.height))


async def test_sixteen_streams_leave_the_screen_alone(make_app: Make) -> None:
    """Not a figure, which benchmarks give: the server is not on the screen's loop, so that this one goes on."""
    app = make_app()
    async with shown(app) as (pilot, screen):
        await switched_on(pilot, app)
        ask = {"model": "ember", "prompt": "Tell me all", "stream": True, "options": {"num_predict": 40}}

        def reader() -> int:
            with httpx.Client(base_url=app.serving.url, timeout=60) as client:
                return len(client.post("/api/generate", json=ask).text.splitlines())

        readers = [asyncio.ensure_future(asyncio.to_thread(reader)) for _ in range(16)]
        pressed = 0
        while not all(each.done() for each in readers):
            before = time.monotonic()
            await pilot.press("right")
            pressed += time.monotonic() - before < 5
        assert all(each.result() > 1 for each in readers) and pressed > 0
        await until(pilot, lambda: len(screen.known.lines) == 16)
        assert all(line.completion_tokens > 0 for line in screen.known.lines)


async def _listens(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
