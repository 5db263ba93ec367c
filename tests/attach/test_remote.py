"""What is of an engine elsewhere alone: keys, strangers, networks that break, other machines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from PIL import Image

from api import Keyring, Server
from api.presence import owning, write_notice
from cli.configuration import GlobalOptions
from cli.engines import reached
from engine import LocalEngine, RemoteEngine, parse_address
from engine.errors import HearthError, InvalidRequest, ModelUnavailable, NotAllowed, Unsupported
from engine.face import Engine, Hub, Naming
from engine.paths import Paths, resolve
from engine.settings import Hub as HubSettings
from engine.settings import Settings
from engine.types import (
    Alias,
    Attachment,
    Delta,
    Done,
    Failed,
    GenerationRequest,
    PullRequest,
    PullState,
    StoredMessage,
)
from tests.attach.wire import Wire
from tests.hub.server import HubServer

LONG = GenerationRequest(model="scripted:tokens=100000,delay_ms=2,context=200000", prompt="Go on")
EMBER = Path(__file__).parents[2] / "starter" / "ember" / "ember-q8_0.gguf"
Attached = Callable[..., RemoteEngine]


@pytest.fixture
def attached(tmp_path: Path) -> Iterator[Attached]:
    """Makes engines at an address, and closes them."""
    made: list[RemoteEngine] = []

    def attach(url: str, key: str = "") -> RemoteEngine:
        made.append(
            RemoteEngine(parse_address(url, key), paths=resolve({"HEARTH_HOME": str(tmp_path / "laptop")}))
        )
        return made[-1]

    yield attach
    for engine in made:
        asyncio.run(engine.close())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.02)


async def test_without_the_right_key_nobody_gets_in(
    server: Server, attach_paths: Paths, attached: Attached
) -> None:
    for key in ("", "hth_wrong"):
        with pytest.raises(NotAllowed) as refused:
            await attached(server.url, key).connect()
        assert "HEARTH_KEY" in refused.value.fix
    _, weak = Keyring(attach_paths).create("weak", ["generate"])
    with pytest.raises(NotAllowed):
        await attached(server.url, weak).connect()
    stream = attached(server.url, weak).generate(LONG)
    event = await stream.wait()
    assert isinstance(event, Failed) and event.error.code == "not_allowed"


async def test_where_nothing_or_somebody_else_listens(attached: Attached) -> None:
    with pytest.raises(ModelUnavailable) as nothing:
        await attached("127.0.0.1:9").connect()
    assert "127.0.0.1:9" in nothing.value.what

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"Ollama is running")

        def log_message(self, format: str, *args: object) -> None:
            pass

    other = HTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    try:
        with pytest.raises(Unsupported):
            await attached(f"127.0.0.1:{other.server_port}").connect()
    finally:
        other.shutdown()
        other.server_close()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("studio", "http://studio:11434"),
        ("studio:8080", "http://studio:8080"),
        ("[::1]:80", "http://[::1]:80"),
        ("https://hearth.example/", "https://hearth.example:443"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    assert parse_address(text, "k").url == url
    assert "k" not in repr(parse_address(text, "k")).replace(url, "")


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "http://key@host", "http://x/v1", "http://x:99999", "http://a b", "x?y=1"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_address(text)


async def test_a_cut_wire_ends_the_stream_and_the_work(
    server: Server, local: LocalEngine, attached: Attached
) -> None:
    wire = Wire(server.port)
    engine = attached(wire.url, server.hub.token)
    # The server goes by the name in the Host header, which a port does not change.
    await engine.connect()
    stream = engine.generate(LONG)
    seen = []
    async for event in stream:
        seen.append(event)
        if sum(isinstance(each, Delta) for each in seen) == 3:
            wire.cut()
    end = seen[-1]
    assert isinstance(end, Failed) and end.error.retryable
    assert "cannot be reached" in end.error.what and "broke" in end.error.why
    await until(lambda: stream.id not in [each.id for each in local.running()])
    # Whoever looks sees it; once the network is back all goes on.
    engine.running()
    await until(lambda: engine.problem is not None)
    with pytest.raises(ModelUnavailable):
        await engine.models()
    wire.mend()
    engine.running()
    await asyncio.sleep(0.4)
    engine.running()
    await until(lambda: engine.problem is None)
    done = await engine.generate(GenerationRequest(model="ember", prompt="Hello", max_tokens=2)).wait()
    assert isinstance(done, Done)
    wire.close()


async def test_closing_ends_what_runs_there(server: Server, local: LocalEngine, attached: Attached) -> None:
    engine = attached(server.url, server.hub.token)
    stream = engine.generate(LONG)
    await until(lambda: any(each.id == stream.id for each in local.running()))
    await engine.close()
    end = await stream.wait()
    assert isinstance(end, Done) and end.reason == "cancelled"
    await until(lambda: not any(each.id == stream.id for each in local.running()))
    with pytest.raises(ModelUnavailable):
        await engine.models()


async def test_a_server_that_stops_says_so_in_the_stream(
    local: LocalEngine, tmp_path: Path, attached: Attached
) -> None:
    server = Server(
        local, Settings(), paths=resolve({"HEARTH_HOME": str(tmp_path / "h")}), port=0, scripted=True
    )
    server.start()
    stream = attached(server.url, server.hub.token).generate(LONG)
    await until(lambda: any(each.id == stream.id for each in local.running()))
    await asyncio.to_thread(server.stop, now=True)
    end = await stream.wait()
    assert isinstance(end, Failed) and "shutting down" in end.error.what


@pytest.mark.parametrize("named", [False, True])
async def test_a_server_of_this_user_that_was_started_again_lets_us_in(
    local: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Its key is new, and read anew: by a question, a stream, and many at once."""
    monkeypatch.setenv("HEARTH_HOME", str(tmp_path))
    monkeypatch.delenv("HEARTH_KEY", raising=False)
    paths = resolve()

    def started(port: int) -> Server:
        made = Server(local, Settings(), paths=paths, host="127.0.0.1", port=port, scripted=True)
        made.start()
        write_notice(paths, made.host, made.port, made.url)
        return made

    server = started(0)
    with owning(paths):
        options = GlobalOptions(connect=server.url if named else None)
        engine = await asyncio.to_thread(reached, options, Settings())
    assert isinstance(engine, RemoteEngine)
    try:
        for again in ("question", "stream", "many"):
            before, port = server.hub.token, server.port
            await asyncio.to_thread(server.stop, now=True)
            server = started(port)
            assert server.hub.token != before
            if again == "question":
                await engine.models()
            elif again == "stream":
                done = await engine.generate(
                    GenerationRequest(model="scripted:tokens=3", prompt="Go on")
                ).wait()
                assert isinstance(done, Done), done
            else:
                await asyncio.gather(*(engine.models() for _ in range(8)))
        # A key that is refused and did not change is not tried twice.
        port = server.port
        await asyncio.to_thread(server.stop, now=True)
        server = started(port)
        (paths.runtime / "token").write_text("hth_wrong")
        for _ in range(2):
            with pytest.raises(NotAllowed):
                await engine.models()
        lines = [line for line in server.hub.requests if line.path == "/hearth/v1/models"]
        assert len(lines) == 3  # With the old key, with the wrong one, and that once more.
    finally:
        await engine.close()
        await asyncio.to_thread(server.stop, now=True)


async def test_another_machine_is_lent_no_files(
    server: Server, attach_paths: Paths, attached: Attached, tmp_path: Path
) -> None:
    """A key of the scope admin stands for another machine: what it names by path is not this machine's."""
    _, key = Keyring(attach_paths).create("laptop", ["admin"])
    engine = attached(server.url, key)
    with pytest.raises(NotAllowed):
        await engine.add_adapter(str(EMBER))
    with pytest.raises(HearthError):
        await engine.put_alias("spy", Alias(model="/etc/passwd"))
    picture = tmp_path / "blue.png"
    Image.new("RGB", (8, 8), "blue").save(picture)
    seen = picture.read_bytes()
    shown = Attachment(name="blue.png", path=str(picture), media_type="image/png")
    await engine.conversations.save(
        "far", [StoredMessage(id="m", role="user", content="@blue.png", attachments=(shown,))]
    )
    picture.unlink()
    (message,) = (await engine.conversations.get("far")).messages
    assert Path(message.attachments[0].path).read_bytes() == seen
    # What comes back is saved again without its file going along.
    (kept,) = await engine.conversations.save("far", [message])
    assert kept.attachments[0].digest == message.attachments[0].digest
    stolen = Attachment(name="p", path="/etc/passwd", media_type="image/png", digest="00")
    (other,) = await engine.conversations.save(
        "far", [StoredMessage(id="n", role="user", content="x", attachments=(stolen,))]
    )
    assert other.attachments[0].path != "/etc/passwd"


async def test_a_pull_is_followed_through_a_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attached: Attached
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    paths = resolve({"HEARTH_HOME": str(tmp_path / "home")})
    with HubServer() as hub:
        hub.add("org/tiny-GGUF", {"tiny-Q8_0.gguf": EMBER.read_bytes()})
        engine = LocalEngine(
            Settings(hub=HubSettings(endpoint=hub.endpoint)), screen_attached=False, paths=paths
        )
        server = Server(engine, Settings(), paths=paths, port=0)
        server.start()
        wire = Wire(server.port)
        try:
            far = attached(wire.url, server.hub.token)
            assert (await far.plan_pull(PullRequest(model="org/tiny-GGUF"))).missing > 0
            states: list[PullState] = []
            pulling = far.pull(PullRequest(model="org/tiny-GGUF"))
            async for state in pulling:
                if not states:
                    wire.cut()
                    wire.mend()
                states.append(state)
            assert states[-1].stage == "done", states[-1]
            assert Path(states[-1].path).is_file() and pulling.id == states[-1].id
            await until(lambda: any(state.id == pulling.id for state in far.pulls()))
            assert (await far.delete_weights("org/tiny-GGUF")).size > 0
        finally:
            wire.close()
            await asyncio.to_thread(server.stop, now=True)
            await engine.close()


def test_it_has_every_part_of_the_face(remote: RemoteEngine) -> None:
    assert isinstance(remote, Engine) and isinstance(remote, Hub) and isinstance(remote, Naming)


async def test_sixteen_streams_at_once(remote: RemoteEngine) -> None:
    asked = GenerationRequest(model="ember", prompt="Count", max_tokens=20, sampling={"temperature": 0.0})
    ends = await asyncio.gather(*(remote.generate(asked).wait() for _ in range(16)))
    assert all(isinstance(end, Done) for end in ends)
    assert len({end.usage.completion_tokens for end in ends}) == 1
