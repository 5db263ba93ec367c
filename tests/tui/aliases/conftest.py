from __future__ import annotations

import pytest

from tests.tui.shell.conftest import home, make_app
from tui.screens.aliases import screen

__all__ = ["home", "make_app"]


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is looked at, and what would hold asked for, without a second's wait."""
    monkeypatch.setattr(screen, "FOLLOWS_S", 0.25)
    monkeypatch.setattr(screen, "RESTS_S", 0.01)
