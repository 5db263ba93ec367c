"""What a token costs the engine's own thread, where the screen and the server live: processor time per token.

    python -m benchmarks.parent_cost [--quick]

A scripted model in a worker of its own streams to 32 readers at once, at 40 steps a second, as a model would.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time

from benchmarks.engines import engine_in
from benchmarks.figure import state
from engine.local import LocalEngine
from engine.types import Delta, GenerationRequest

LIMIT_US = 10.0
STREAMS = 32


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a token costs more than the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer tokens")
    tokens = 200 if parser.parse_args(argv).quick else 600
    cost = min(asyncio.run(measure(tokens)) for _ in range(3))
    return int(
        not state(
            f"parent-side cost at {STREAMS} streams",
            f"{cost:.1f} µs of processor time a token",
            f"< {LIMIT_US:g}",
            holds=cost < LIMIT_US,
        )
    )


async def measure(tokens: int) -> float:
    """Microseconds of the engine thread's processor time per token, drained by panes 15 times a second."""
    async with engine_in(slots=STREAMS, prefix_cache=False) as engine:
        model = f"scripted:tokens={tokens},delay_ms=25,slots={STREAMS}"
        await engine.load(model)
        streams = [
            engine.generate(GenerationRequest(model=model, prompt="x", raw=True, priority="api"))
            for _ in range(STREAMS)
        ]
        await asyncio.sleep(0.5)
        before, counted = thread_seconds(engine), 0
        for stream in streams:
            stream.drain()
        began = time.monotonic()
        while time.monotonic() - began < tokens * 0.025 * 0.7:
            await asyncio.sleep(1 / 15)
            counted += sum(
                event.tokens for stream in streams for event in stream.drain() if isinstance(event, Delta)
            )
        spent = thread_seconds(engine) - before
        for stream in streams:
            stream.cancel()
        return spent / counted * 1e6


def thread_seconds(engine: LocalEngine) -> float:
    """Processor time of the engine's thread."""
    thread = next(each for each in threading.enumerate() if each.name == "engine")
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
