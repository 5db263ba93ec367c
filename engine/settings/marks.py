"""What settings are marked with in `Meta.extra`; `engine.settings.schema` says what the marks mean."""

from __future__ import annotations

from typing import Literal

DURATION = {"duration": True}
SIZE = {"size": True}
PATH = {"path": True}
OWN = {"own": True}
OTHERS = {"others": True}
LINES = {"lines": True}

Applies = Literal["now", "answer", "load", "start"]
"""From when on a changed value holds: at once, the next answer, the next load of a model, the next start of Hearth."""
NOW = {"applies": "now"}
ANSWER = {"applies": "answer"}
LOAD = {"applies": "load"}
