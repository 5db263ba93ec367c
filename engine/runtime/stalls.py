"""Ends workers that hang: those that have work, say nothing for too long, and do nothing meanwhile."""

from __future__ import annotations

import asyncio
import time

from engine.runtime.host import Host
from engine.runtime.logring import LogRing
from engine.runtime.place import Place

BUSY_PATIENCE = 10
"""How many times the limit a worker may be silent that computes all the while."""
BUSY_SHARE = 0.02
"""Processor time per second of waiting from which on a silent worker counts as computing."""


def watch(place: Place, host: Host, limit: float, log: LogRing) -> None:
    """Look after the worker `host` of `place`, which has work from now on, until it has none or has gone.

    `limit` is in seconds of silence; 0 is none. One that hangs is killed, and its streams end as after any death.
    """
    place.last_heard = time.monotonic_ns()
    if not limit:
        return
    worked: float | None = None

    def look() -> None:
        nonlocal worked
        if place.host is not host or not place.busy or place.state != "ready":
            return
        silent = (time.monotonic_ns() - place.last_heard) / 1e9
        if silent < limit:
            worked = None
            place.watch = loop.call_later(limit - silent + 0.01, look)
            return
        before, worked = worked, host.processor_seconds()
        pause = limit / 4
        # Of many texts nothing is heard before they are all read.
        patient = bool(place.replies) or silent < limit * BUSY_PATIENCE
        if before is None or (worked > before + pause * BUSY_SHARE and patient):
            # A large model on a small machine: one chunk of a prompt may take longer than the limit.
            place.watch = loop.call_later(pause, look)
            return
        log.add("error", place.id, f"no step for {silent:.0f} s: the worker hangs and is ended")
        host.kill()

    loop = asyncio.get_running_loop()
    if place.watch is not None:
        place.watch.cancel()
    place.watch = loop.call_later(limit, look)
