"""A real server on a real port over a real engine, one for all tests of this room; and servers of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from api import Server
from engine import LocalEngine
from engine.paths import Paths, resolve
from engine.settings import Jobs, Settings
from engine.settings import Server as ServerSettings
from tests.leaving import when_leaving

Open = Callable[..., Server]


@pytest.fixture(scope="session")
def api_paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return resolve({"HEARTH_HOME": str(tmp_path_factory.mktemp("api-home"))})


@pytest.fixture(scope="session")
def api_engine(api_paths: Paths) -> Iterator[LocalEngine]:
    engine = LocalEngine(Settings(), screen_attached=False, paths=api_paths)
    when_leaving(Path(__file__).parent, lambda: asyncio.run(engine.close()))
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="session")
def server(api_engine: LocalEngine, api_paths: Paths) -> Iterator[Server]:
    """The server that most tests ask; scripted models have names here."""
    settings = Settings(
        server=ServerSettings(drain_seconds=0.5, allowed_origins=("http://app.example:3000",))
    )
    made = Server(api_engine, settings, paths=api_paths, port=0, scripted=True)
    made.start()
    when_leaving(Path(__file__).parent, made.stop)
    yield made
    made.stop()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as made:
        yield made


@pytest.fixture
def open_server(api_engine: LocalEngine, tmp_path: Path) -> Iterator[Open]:
    """Starts servers with settings and a home of their own over the common engine, and stops them."""
    made: list[Server] = []

    def start(*, jobs: Jobs | None = None, **changes: object) -> Server:
        paths = resolve({"HEARTH_HOME": str(tmp_path / "home")})
        told = ServerSettings(**{"drain_seconds": 0.2, **changes})  # type: ignore[arg-type]
        settings = Settings(server=told, jobs=jobs or Jobs())
        server = Server(api_engine, settings, paths=paths, port=0, scripted=True)
        server.start()
        made.append(server)
        return server

    yield start
    for server in made:
        server.stop(now=True)
