from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import paths
from engine.settings import Settings
from tests.tui.fake_engine import fake_engine
from tui.app import HearthApp
from tui.workspaces import WORKSPACES

SHELL = tuple(workspace for workspace in WORKSPACES if workspace.name in ("models", "logs"))
"""The workspaces that belong to the shell, so that these tests load no chat."""


@pytest.fixture
def home(tmp_path: Path) -> paths.Paths:
    """Folders of Hearth for one test."""
    return paths.resolve({"HEARTH_HOME": str(tmp_path)})


@pytest.fixture
def make_app(home: paths.Paths) -> Callable[..., HearthApp]:
    """Makes apps over a recorded engine: `engine`, `settings` and `workspaces` may be given."""

    def make(**given: Any) -> HearthApp:
        engine = given.pop("engine", None) or fake_engine()
        settings = given.pop("settings", None) or Settings()
        return HearthApp(engine, settings, paths=home, **({"workspaces": SHELL} | given))

    return make
