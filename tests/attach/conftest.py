"""One engine twice: by itself, and over HTTP through a real server on a real port. Tests take either as `engine`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from api import Server
from engine import LocalEngine, RemoteEngine, parse_address
from engine.face import Engine
from engine.paths import Paths, resolve
from engine.settings import Server as ServerSettings
from engine.settings import Settings
from tests.leaving import when_leaving


@pytest.fixture(scope="session")
def attach_paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return resolve({"HEARTH_HOME": str(tmp_path_factory.mktemp("attach-home"))})


@pytest.fixture(scope="session")
def local(attach_paths: Paths) -> Iterator[LocalEngine]:
    engine = LocalEngine(Settings(), screen_attached=False, paths=attach_paths)
    when_leaving(Path(__file__).parent, lambda: asyncio.run(engine.close()))
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="session")
def server(local: LocalEngine, attach_paths: Paths) -> Iterator[Server]:
    made = Server(
        local,
        Settings(server=ServerSettings(drain_seconds=0.2)),
        paths=attach_paths,
        host="127.0.0.1",
        port=0,
        scripted=True,
    )
    made.start()
    when_leaving(Path(__file__).parent, lambda: made.stop(now=True))
    yield made
    made.stop(now=True)


@pytest.fixture(scope="session")
def remote(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteEngine]:
    """Attached with the token of this user's own programs."""
    home = resolve({"HEARTH_HOME": str(tmp_path_factory.mktemp("attached-home"))})
    engine = RemoteEngine(parse_address(server.url, server.hub.token), paths=home)
    asyncio.run(engine.connect())
    when_leaving(Path(__file__).parent, lambda: asyncio.run(engine.close()))
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(params=["local", "remote"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Both, one after the other."""
    found: Engine = request.getfixturevalue(request.param)
    return found
