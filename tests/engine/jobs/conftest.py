"""Engines with real worker processes that run the jobs of one home."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.local import LocalEngine
from engine.paths import Paths, resolve
from engine.settings import Jobs as JobSettings
from engine.settings import Settings
from tests.engine.jobs.asking import Open


@pytest.fixture
def home(tmp_path: Path) -> Paths:
    return resolve({"HEARTH_HOME": str(tmp_path / "home")})


@pytest.fixture
async def open_engine(home: Paths) -> AsyncIterator[Open]:
    """Makes engines over one home, and closes them."""
    engines: list[LocalEngine] = []

    def make(**jobs: object) -> LocalEngine:
        settings = Settings(jobs=JobSettings(**{"backoff": 0.05, **jobs}))  # type: ignore[arg-type]
        engines.append(LocalEngine(settings, paths=home))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.close()
