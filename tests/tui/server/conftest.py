"""A workstation over a real engine with the starter model, whose server really listens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import LocalEngine
from engine.paths import Paths, resolve
from engine.settings import Server, Settings
from tests.leaving import when_leaving
from tui.app import HearthApp
from tui.workspaces import WORKSPACES

SHOWN = tuple(workspace for workspace in WORKSPACES if workspace.name in ("server", "logs"))
Make = Callable[..., HearthApp]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    made = LocalEngine(
        Settings(),
        screen_attached=False,
        paths=resolve({"HEARTH_HOME": str(tmp_path_factory.mktemp("pane"))}),
    )
    when_leaving(Path(__file__).parent, lambda: asyncio.run(made.close()))
    yield made
    asyncio.run(made.close())


@pytest.fixture
def home(hearth_home: Path) -> Paths:
    """The environment says the same, for settings are read by it."""
    return resolve({"HEARTH_HOME": str(hearth_home)})


@pytest.fixture
def port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        found: int = trial.getsockname()[1]
        return found


@pytest.fixture
def make_app(engine: LocalEngine, home: Paths, port: int) -> Iterator[Make]:
    made: list[HearthApp] = []

    def make(**server: object) -> HearthApp:
        said = {"port": port, "drain_seconds": 0.3, **server}
        app = HearthApp(
            engine,
            Settings(server=Server(**said)),
            paths=home,
            workspaces=SHOWN,  # type: ignore[arg-type]
        )
        made.append(app)
        return app

    yield make
    for app in made:
        app.serving.stop(now=True)
