"""When each model was last in memory, by its id, in the state folder; lists show it.

Usable from any thread. Disk work: not for an event loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.store.notes import Notes

SELDOM_S: Final = 60.0
"""A model that goes on being used is written down no more often than that."""
MOST: Final = 4000


class Uses:
    """The moments in `file`, in Unix seconds."""

    def __init__(self, file: Path) -> None:
        self._notes: Notes[float] = Notes(file, float, most=MOST)
        self._lock = threading.Lock()
        self._written: dict[str, float] = {}

    def is_due(self, model: str) -> bool:
        """Whether a use of `model` would be written down now."""
        with self._lock:
            return time.monotonic() - self._written.get(model, -SELDOM_S) >= SELDOM_S

    def note(self, model: str) -> None:
        """It is used now."""
        with self._lock:
            self._written[model] = time.monotonic()
        self._notes.put(model, round(time.time(), 1))

    def all(self) -> Mapping[str, float]:
        """The last use of every model that is known."""
        found = {model: self._notes.get(model) for model in self._notes.newest()}
        return {model: moment for model, moment in found.items() if moment is not None}
