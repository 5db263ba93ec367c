"""What watching the machine costs while somebody looks: processor time of the watch's thread, as a share of a core.

    python -m benchmarks.hardware_watch [--quick]

A pane asks once a second, as Hardware does; a model is in memory, so that its process is read too.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time

from benchmarks.engines import engine_in
from benchmarks.figure import state

LIMIT = 0.01


def main(argv: list[str]) -> int:
    """Measure and print; 1 if watching takes more than the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer seconds")
    share, each = asyncio.run(measure(10 if parser.parse_args(argv).quick else 60))
    return int(
        not state(
            "watching the machine",
            f"{share:.3%} of a core, {each:.2f} ms a reading",
            f"< {LIMIT:.0%}",
            holds=share < LIMIT,
        )
    )


async def measure(seconds: int) -> tuple[float, float]:
    """(share of a core, milliseconds of processor time per reading) over `seconds`, after the first reading."""
    async with engine_in() as engine:
        await engine.load("scripted:tokens=10")
        await engine.hardware()
        thread = next(each for each in threading.enumerate() if each.name == "hearth-hardware")
        assert thread.ident is not None
        clock = time.pthread_getcpuclockid(thread.ident)
        before, began, last, readings = time.clock_gettime(clock), time.monotonic(), 0.0, 0
        while time.monotonic() - began < seconds:
            await asyncio.sleep(1)
            found = await engine.hardware()
            readings += found.t_unix != last
            last = found.t_unix
        spent = time.clock_gettime(clock) - before
        return spent / (time.monotonic() - began), spent / max(1, readings) * 1e3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
