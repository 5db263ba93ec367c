"""Signals that ask for the end lead to an orderly one: what was set up is taken down on the way out."""

from __future__ import annotations

import signal
from types import FrameType


def leave_on_signals() -> None:
    """From now on SIGTERM and SIGHUP raise SystemExit with the status 128 + signal. Main thread only."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
