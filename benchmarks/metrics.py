"""The metrics over a million requests: how long each panel waits, and what keeping a row costs beside its tokens.

    python -m benchmarks.metrics [--quick]

A question's figure is processor time, which is its time on an idle core; the wall clock is printed beside it. Keeping a
row is all of it: making it of a request's end, taking it, and the writer's own thread, for requests of 100 tokens with
a gap each, against 100 tokens at the speed of the starter model, the fastest there is here.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.engines import engine_in
from benchmarks.figure import state
from engine.metrics.local import LocalMetrics
from engine.paths import resolve
from engine.store import Metrics, row_of
from engine.types import Done, GenerationRequest, MetricsQuery, Timings, Usage

ROWS, SAMPLES = 1_000_000, 86_400
QUESTION_MS, SHARE = 150.0, 0.01
TOKENS = 100
ROUNDS = 5


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a limit is passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="100,000 requests, whose time is counted tenfold"
    )
    quick = parser.parse_args(argv).quick
    with tempfile.TemporaryDirectory() as folder:
        good = asyncio.run(questions(Path(folder), ROWS // 10 if quick else ROWS))
    with tempfile.TemporaryDirectory() as folder:
        row = cost_of_a_row(Path(folder), 2000 if quick else 20_000)
    token = asyncio.run(seconds_of_a_token())
    share = row / (TOKENS * token)
    good &= state(
        "keeping a row",
        f"{share:.2%} of {TOKENS} tokens ({row * 1e6:.0f} µs a row, {1 / token:.0f} tokens a second)",
        f"< {SHARE:.0%}",
        holds=share < SHARE,
    )
    return int(not good)


async def questions(folder: Path, count: int) -> bool:
    """Ask what each panel asks, over all of `count` requests; whether all limits hold."""
    from tests.engine.metrics import generated

    generated.write(folder / "metrics.duckdb", count, SAMPLES)
    store = Metrics(folder / "metrics.duckdb", folder / "spool", keep=lambda: (0, 0))
    metrics = LocalMetrics(lambda: store, resolve({"HEARTH_HOME": str(folder)}))
    every = MetricsQuery(seconds=count * generated.APART, until=generated.BEGAN + count * generated.APART)
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "overview": lambda: metrics.traffic(every, 240),
        "breakdown by model": lambda: metrics.groups(every, "model"),
        "breakdown by client": lambda: metrics.groups(every, "client"),
        "percentiles": lambda: metrics.distributions(every),
        "slow requests": lambda: metrics.slowest(every, "total", 200),
    }
    good = True
    for name, ask in asked.items():
        processor, wall = await timed(ask)
        processor, wall = processor * ROWS / count, wall * ROWS / count
        good &= state(
            f"{name}, {ROWS:,} requests",
            f"{processor * 1e3:.0f} ms ({wall * 1e3:.0f} ms by the clock)",
            f"< {QUESTION_MS:.0f} ms",
            holds=processor * 1e3 < QUESTION_MS,
        )
    store.close()
    return good


async def timed(ask: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Least processor time and wall clock of some rounds, seconds."""
    await ask()
    processor, wall = [], []
    for _ in range(ROUNDS):
        began, busy = time.perf_counter(), time.process_time()
        await ask()
        processor.append(time.process_time() - busy)
        wall.append(time.perf_counter() - began)
    return min(processor), min(wall)


def cost_of_a_row(folder: Path, count: int) -> float:
    """Processor seconds of a row, the writer's thread included."""
    store = Metrics(folder / "metrics.duckdb", folder / "spool")
    request = GenerationRequest(model="ember", id="r", client="benchmark", source="openai")
    usage = Usage(prompt_tokens=120, cached_tokens=60, completion_tokens=TOKENS)
    timings = Timings(submitted=1, admitted=2_000_000, first_prefill=2_000_000, first_token=9_000_000,
                      last_token=900_000_000, ended=901_000_000)  # fmt: skip
    done = Done(reason="finished", usage=usage, timings=timings, model="ember", backend="llama")
    gaps = [9_000_000] * (TOKENS - 1)
    store.record(row_of(request, done, gaps_ns=gaps))
    store.flush()
    writer = next(each for each in threading.enumerate() if each.name == "hearth-metrics")
    assert writer.ident is not None
    clock = time.pthread_getcpuclockid(writer.ident)
    before, mine = time.clock_gettime(clock), time.thread_time()
    for number in range(count):
        store.record(row_of(request, done, gaps_ns=gaps, request_id=str(number)))
        if number % 256 == 255:
            store.flush()
    store.flush()
    spent = time.clock_gettime(clock) - before + time.thread_time() - mine
    store.close()
    return spent / count


async def seconds_of_a_token() -> float:
    """How long a token of the starter model takes, alone: the best of some answers."""
    async with engine_in() as engine:
        best = float("inf")
        for _ in range(4):
            asked = GenerationRequest(
                model="ember", prompt="Once", raw=True, max_tokens=TOKENS,
                sampling={"temperature": 0.0, "ignore_eos": True},
            )  # fmt: skip
            end = await engine.generate(asked).wait()
            if not isinstance(end, Done):
                raise SystemExit(f"the model did not answer: {end.error.sentence()}")
            best = min(best, end.timings.decode_s / (end.usage.completion_tokens - 1))
        return best


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
