"""One real engine for all tests of this room, and stores of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import LocalEngine
from engine.paths import Paths, resolve
from engine.settings import Settings as EngineSettings
from evals.asking import Conditions, subjects
from evals.session import begin, runner
from evals.store import EvalStore, Run, Settings
from tests.leaving import when_leaving

STEADY = Conditions(flash_attention=False)
"""As the command line asks: what is answered does not hang on what else is in a batch."""


@pytest.fixture(scope="session")
def evals_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    paths = resolve({"HEARTH_HOME": str(tmp_path_factory.mktemp("evals-home"))})
    engine = LocalEngine(EngineSettings(), screen_attached=False, paths=paths)
    when_leaving(Path(__file__).parent, lambda: asyncio.run(engine.close()))
    yield engine
    asyncio.run(engine.close())


@pytest.fixture
def eval_paths(tmp_path: Path) -> Paths:
    return resolve({"HEARTH_HOME": str(tmp_path / "home")})


@pytest.fixture
def store(eval_paths: Paths) -> Iterator[EvalStore]:
    made = EvalStore(eval_paths)
    yield made
    made.close()


Execute = Callable[..., Run]


@pytest.fixture
def execute(evals_engine: LocalEngine, store: EvalStore) -> Execute:
    """Run an eval to its end: a dataset, models, and any other settings."""

    def run(dataset: str, *models: str, **settings: Any) -> Run:
        begun = begin(
            store,
            Settings(**{"dataset": dataset, "subjects": subjects(models), "conditions": STEADY, **settings}),
        )

        async def work() -> Run:
            return await runner(evals_engine, store, begun).go()

        return asyncio.run(work())

    return run
