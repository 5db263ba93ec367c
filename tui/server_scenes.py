"""The Server workspace for `tui.screenshots`: off, on with traffic, a request, keys, access, clients."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

from msgspec.structs import replace
from textual.pilot import Pilot

from api import Holder, Keyring, LoggedRequest
from engine.errors import ErrorInfo
from engine.settings import Server
from engine.types import RunningRequest
from tui.app import HearthApp
from tui.recorded import RecordedEngine
from tui.serving import Serving

Drive = Callable[[Pilot[None], HearthApp], Awaitable[None]]
NOW = time.time()
"""The lists tell moments of the day; pictures of two runs differ in them."""


class RecordedServing(Serving):
    """On, without a server."""

    url = "http://127.0.0.1:11434"
    host = "127.0.0.1"
    port = 11434
    answers = 2
    sockets = 1


def line(seconds_ago: float, **said: Any) -> LoggedRequest:
    """A line of the log with what most have."""
    given: dict[str, Any] = {
        "id": f"{int(seconds_ago * 10):024x}",
        "t_unix": NOW - seconds_ago,
        "client": "openai",
        "dialect": "openai",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "seconds": 1.9,
        "model": "qwen3-8b-instruct",
        "prompt_tokens": 812,
        "cached_tokens": 640,
        "completion_tokens": 164,
        "queue_s": 0.04,
        "prefill_s": 0.21,
        "decode_s": 1.6,
        "outcome": "finished",
    }
    return LoggedRequest(**{**given, **said})


def lines() -> list[LoggedRequest]:
    """Traffic of a busy quarter of an hour, oldest first."""
    nothing: dict[str, Any] = {
        "model": "", "prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": 0, "queue_s": 0.0, "prefill_s": 0.0,
        "decode_s": 0.0, "outcome": "",
    }  # fmt: skip
    found = [
        line(640, client="ollama", dialect="ollama", path="/api/tags", method="GET", seconds=0.003, **nothing),
        line(610, client="Mozilla", dialect="openai", status=403, seconds=0.001,
             refused="origin http://localhost:3000", **nothing),
        line(480, client="claude-cli", dialect="anthropic", path="/v1/messages", prompt_tokens=14_812,
             cached_tokens=14_200, completion_tokens=903, seconds=14.2, queue_s=0.3, prefill_s=1.1, decode_s=12.6),
        line(300, client="curl", dialect="hub", path="/chat", model="ember", prompt_tokens=18, completion_tokens=40,
             seconds=2.46, load_s=1.9, queue_s=0.002, prefill_s=0.08, decode_s=0.45),
        line(240, client="langchain", status=404, seconds=0.012, **{
            **nothing, "model": "llama-3.3-70b-instruct-with-a-very-long-name", "outcome": "model_not_found"}),
        line(200, client="open-webui", dialect="ollama", path="/api/chat", status=200, outcome="cancelled",
             completion_tokens=12, seconds=0.8, decode_s=0.5),
        line(120, client="evil", dialect="hub", method="GET", path="/", status=403, refused="host studio.local",
             seconds=0.001, **nothing),
    ]  # fmt: skip
    found += [
        line(100 - 2 * place, seconds=1.2 + 0.1 * place, completion_tokens=90 + place) for place in range(40)
    ]
    last = line(
        4,
        client="laptop",
        seconds=6.84,
        queue_s=0.42,
        load_s=2.9,
        prefill_s=0.61,
        decode_s=2.7,
        options={
            "temperature": "0.2",
            "max_tokens": "400",
            "stop": '["\\n\\n"]',
            "tools": '["weather","search"]',
            "load": '{"context":16384}',
        },
        ignored=("store", "user"),
        prompt="system: You are brief.\nuser: What does a worker process cost, and why is there one for each model?",
    )
    return [*found, last]


def running() -> list[RunningRequest]:
    """Two that decode, one that waits."""
    return [
        RunningRequest(id="a1", model="qwen3-8b-instruct", client="laptop", source="openai", priority="api",
                       state="decode", prompt_tokens=2104, cached_tokens=2048, completion_tokens=311),
        RunningRequest(id="b2", model="qwen3-8b-instruct", client="tui", source="tui", priority="interactive",
                       state="prefill", prompt_tokens=8100, cached_tokens=0),
        RunningRequest(id="c3", model="qwen3-8b-instruct", client="nightly-eval", source="openai", priority="batch",
                       state="queued", position=1, eta_s=42.0, prompt_tokens=310),
    ]  # fmt: skip


def _keys(app: HearthApp) -> None:
    ring = Keyring(app.paths)
    if not ring.keys():
        ring.create("laptop", ["generate", "manage"], lifetime=90 * 86400.0)
        ring.create("nightly-eval", ["generate"], per_minute=60, concurrent=4)
        ring.create("studio display in the meeting room", ["admin"])
        ring.create("old phone", ["generate"])
        ring.revoke("old phone")


def served(*keys: str, keys_made: bool = False, before: Callable[[HearthApp], None] | None = None) -> Drive:
    """Have the server on with its traffic, then press `keys`."""

    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        app.serving = serving = RecordedServing(app.paths)
        serving.state, serving.since = "on", NOW - 2 * 3600
        serving.lines.extend(lines())
        engine = cast(RecordedEngine, app.connection.ready)
        engine.running = running  # type: ignore[method-assign]
        app.settings = replace(app.settings, server=Server(allowed_origins=("https://chat.example",)))
        if keys_made:
            _keys(app)
        if before is not None:
            before(app)
        await pilot.pause(0.8)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.1)
        await pilot.pause(0.7)

    return drive


async def _off(pilot: Pilot[None], app: HearthApp) -> None:
    await pilot.pause(0.7)


def _draining(app: HearthApp) -> None:
    app.serving.state = "stopping"


def _attached(app: HearthApp) -> None:
    engine = cast(Any, app.connection.ready)
    engine.address = SimpleNamespace(name="studio.local:11434", url="http://studio.local:11434")

    async def log(limit: int) -> list[dict[str, object]]:
        import msgspec

        found: list[dict[str, object]] = msgspec.to_builtins(lines()[-limit:])
        return found

    engine.server_log = log


def _taken(hearth: bool) -> Drive:
    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        from tui.screens.server.switching import PortHeld

        command = "/usr/bin/python3 -P -m cli.launcher serve" if hearth else "/usr/local/bin/ollama serve"
        error = ErrorInfo(code="port_taken", what="Port 11434 on 127.0.0.1 is taken.")
        app.push_screen(PortHeld(error, Holder(pid=4211, command=command, hearth=hearth)))
        await pilot.pause(0.3)

    return drive


async def _made(pilot: Pilot[None], app: HearthApp) -> None:
    from tui.screens.server.new_key import MadeKey

    app.push_screen(MadeKey("laptop", "hth_Jw3dJb0mUqkqA0z7o1mGqO5QnMkcVYvTn2T1gWqDn4E"))
    await pilot.pause(0.3)


SCENES: dict[str, tuple[str, Drive]] = {
    "server-off": ("server", _off),
    "server": ("server", served()),
    "server-request": ("server", served("enter")),
    "server-refused": ("server", served("end")),
    "server-running": ("server", served("right")),
    "server-keys": ("server", served("right", "right", keys_made=True)),
    "server-access": ("server", served("right", "right", "right", "down")),
    "server-clients": ("server", served("left", "down", "down", "enter")),
    "server-draining": ("server", served(before=_draining)),
    "server-attached": ("server", served(before=_attached)),
    "server-taken": ("server", _taken(False)),
    "server-taken-own": ("server", _taken(True)),
    "server-new-key": ("server", served("n", *"laptop", "tab")),
    "server-made-key": ("server", _made),
}
"""Scene name: the workspace it starts in, and what is done there."""
