"""What an eval costs over the engine itself, and what a chat beside it feels.

    python -m benchmarks.evals [--quick] [--dir FOLDER]

The baseline, in the same run: the same requests, all given to the engine at once. The chat asks for one token while an
eval of the same model runs, and while nothing does.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from benchmarks.engines import ask, engine_in, quarter_billion
from benchmarks.figure import state
from engine.local import LocalEngine
from engine.types import GenerationRequest, Message
from evals.asking import Conditions, subjects
from evals.asking.answers import first_request
from evals.session import begin, runner
from evals.store import EvalStore, Settings

THROUGHPUT = 0.9
TTFT = 2.0
TOKENS = 24
SLOTS = 4


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a figure is over its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--dir", type=Path, help="where the generated model is kept (default: the cache)")
    options = parser.parse_args(argv)
    return int(not asyncio.run(measure(str(quarter_billion(options.dir)), 1 if options.quick else 3)))


async def measure(model: str, rounds: int) -> bool:
    """Every figure; whether all hold."""
    settings = Settings(
        dataset="golden_general",
        subjects=subjects([model]),
        limit=16,
        conditions=Conditions(max_tokens=TOKENS, sampling={"temperature": 0.0, "ignore_eos": True}),
    )
    ratios = []
    async with engine_in(slots=SLOTS, prefix_cache=False) as engine:
        await engine.load(model, keep_alive=-1)
        await by_eval(engine, settings)
        for _ in range(rounds):
            own = await by_engine(engine, settings)
            ratios.append(own / await by_eval(engine, settings))
        idle = [await first_token(engine, model, number) for number in range(5)]
        running = asyncio.create_task(by_eval(engine, settings))
        await asyncio.sleep(1.0)
        beside = []
        while not running.done() and len(beside) < 8:
            beside.append(await first_token(engine, model, 100 + len(beside)))
        await running
    ratio, slower = statistics.median(ratios), statistics.median(beside) / statistics.median(idle)
    held = [
        state(
            "throughput of an eval over the engine's own",
            f"{ratio:.3f}",
            f">= {THROUGHPUT:g}",
            holds=ratio >= THROUGHPUT,
        ),
        state(
            "time to first token in the chat beside an eval, over idle",
            f"{slower:.2f}",
            f"<= {TTFT:g}",
            holds=slower <= TTFT,
        ),
    ]
    return all(held)


async def by_engine(engine: LocalEngine, settings: Settings) -> float:
    """Seconds for all requests, given at once."""
    store = EvalStore(None)
    run = begin(store, settings)
    requests = [
        replace(first_request(sample, run.settings.conditions, TOKENS), model=settings.subjects[0].model)
        for sample in store.samples(run)
    ]
    began = time.monotonic()
    await asyncio.gather(*(ask(engine, request) for request in requests))
    return time.monotonic() - began


async def by_eval(engine: LocalEngine, settings: Settings) -> float:
    """Seconds for the run of the same requests."""
    store = EvalStore(None)
    run = begin(store, settings)
    began = time.monotonic()
    ended = await runner(engine, store, run).go()
    took = time.monotonic() - began
    assert ended.state == "finished" and store.count(run) == (run.total, 0)
    return took


async def first_token(engine: LocalEngine, model: str, number: int) -> float:
    """Seconds until a chat's first token."""
    message = Message(role="user", content=f"{number}: how warm is the hearth?")
    request = GenerationRequest(model=model, messages=(message,), max_tokens=1, priority="interactive")
    return (await ask(engine, request)).timings.ttft_s


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
