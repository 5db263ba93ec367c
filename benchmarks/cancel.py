"""How long a cancel takes inside the prefill of a long prompt, and in decode, until the stream has ended.

    python -m benchmarks.cancel [--quick] [--dir FOLDER]

Counted through the whole engine, from the call to the terminal event. The baseline is the length of the step that it
breaks off.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

from benchmarks.engines import engine_in, quarter_billion
from benchmarks.figure import state
from engine.local import LocalEngine
from engine.types import Delta, Done, GenerationRequest, LoadOptions, Prefill, StreamEvent

LIMIT_MS = 100.0


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a cancel takes longer than the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer cancels")
    parser.add_argument("--dir", type=Path, help="where the generated model is kept (default: the cache)")
    options = parser.parse_args(argv)
    found = asyncio.run(measure(str(quarter_billion(options.dir)), 5 if options.quick else 15))
    held = []
    for name, times in found.items():
        middle, worst = statistics.median(times) * 1e3, max(times) * 1e3
        held.append(
            state(
                f"cancel in {name}",
                f"{middle:.1f} ms, at most {worst:.1f}",
                f"<= {LIMIT_MS:g} ms",
                holds=middle <= LIMIT_MS,
            )
        )
    return int(not all(held))


async def measure(model: str, rounds: int) -> dict[str, list[float]]:
    """Seconds from the call to the end, for each place."""
    found: dict[str, list[float]] = {"prefill": [], "decode": []}
    async with engine_in(prefix_cache=False) as engine:
        for number in range(rounds):
            found["prefill"].append(await cancelled(engine, model, Prefill, number))
            found["decode"].append(await cancelled(engine, model, Delta, number))
    return found


async def cancelled(engine: LocalEngine, model: str, at: type[StreamEvent], number: int) -> float:
    """Cancel a request a moment after its first event of the kind `at`."""
    length = 3000 if at is Prefill else 16
    stream = engine.generate(
        GenerationRequest(
            model=model,
            tokens=tuple(33 + (7 * index + number) % 400 for index in range(length)),
            sampling={"ignore_eos": True},
            keep_alive=-1,
            load=LoadOptions(context=4096, slots=2),
        )
    )
    began = 0.0
    async for event in stream:
        if isinstance(event, at) and not began:
            # Into the middle of the step that has just begun.
            await asyncio.sleep(0.05)
            began = time.perf_counter()
            stream.cancel()
        if isinstance(event, Done):
            assert event.reason == "cancelled", event
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
