"""The engine that tests of panes talk to: the recorded one, filled."""

from __future__ import annotations

from typing import Any

from tui.recorded import RecordedEngine
from tui.recordings import entries, lines, loaded


def fake_engine(**changes: Any) -> RecordedEngine:
    """A recorded engine with models, two of them resident, and log lines; `changes` replace any of it."""
    filled: dict[str, Any] = {"entries": entries(), "loaded": loaded(), "lines": lines()}
    return RecordedEngine(**(filled | changes))
