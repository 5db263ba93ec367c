"""The engine that tests of panes talk to: the recorded one, filled."""

from __future__ import annotations

from typing import Any

from tui.hub_recordings import hub_cards, hub_files, hub_models
from tui.recorded import RecordedEngine
from tui.recordings import entries, lines, loaded


def fake_engine(**changes: Any) -> RecordedEngine:
    """A recorded engine with models, two of them resident, log lines and a hub; `changes` replace any of it."""
    filled: dict[str, Any] = {
        "entries": entries(),
        "loaded": loaded(),
        "lines": lines(),
        "hub": hub_models(),
        "files": hub_files(),
        "cards": hub_cards(),
    }
    return RecordedEngine(**(filled | changes))
