"""Time to first token of a chat typed while 32 requests of class `batch` run, over the same on an idle engine.

    python -m benchmarks.chat_beside_batch [--quick] [--dir FOLDER]

The invariant is tested on a scripted model whose steps are counted; here it is looked at once on real weights.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from pathlib import Path

from benchmarks.engines import Asked, ask, engine_in, quarter_billion
from benchmarks.figure import state
from engine.types import CachePolicy, GenerationRequest, LoadOptions

LIMIT = 2.0
LOAD = LoadOptions(context=2048, slots=4)


def main(argv: list[str]) -> int:
    """Measure and print; 1 if the ratio is over the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer chats")
    parser.add_argument("--dir", type=Path, help="where the generated model is kept (default: the cache)")
    options = parser.parse_args(argv)
    rounds = 5 if options.quick else 11
    idle, busy = asyncio.run(measure(str(quarter_billion(options.dir)), rounds))
    ratio = statistics.median(busy) / statistics.median(idle)
    figure = f"{ratio:.2f} of idle ({statistics.median(idle) * 1e3:.0f} ms)"
    return int(not state("TTFT of a chat beside a batch of 32", figure, f"<= {LIMIT}", holds=ratio <= LIMIT))


async def measure(model: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds to the first token, idle and beside the batch."""
    async with engine_in() as engine:
        await engine.load(model, LOAD, keep_alive=-1)
        idle = [(await ask(engine, chat(model, number))).timings.ttft_s for number in range(rounds)]
        jobs = [engine.generate(job(model, number)) for number in range(32)]
        await asyncio.sleep(3.0)
        busy = []
        for number in range(rounds, 2 * rounds):
            answer: Asked = await ask(engine, chat(model, number))
            busy.append(answer.timings.ttft_s)
            await asyncio.sleep(0.5)
        for each in jobs:
            each.cancel()
    return idle, busy


def chat(model: str, number: int) -> GenerationRequest:
    """A message of 60 tokens, other ones each time, from a screen."""
    return request(model, number, 60, "interactive", 12)


def job(model: str, number: int) -> GenerationRequest:
    """A long text to be answered at length."""
    return request(model, 1000 + number, 500, "batch", 400)


def request(model: str, number: int, length: int, priority: str, answer: int) -> GenerationRequest:
    """`length` tokens that no other number begins with."""
    return GenerationRequest(
        model=model,
        tokens=(33 + number % 400, *(33 + (7 * index + 13 * number) % 400 for index in range(length))),
        max_tokens=answer,
        sampling={"ignore_eos": True},
        priority=priority,  # type: ignore[arg-type]
        client=priority,
        load=LOAD,
        keep_alive=-1,
        cache=CachePolicy(read=False),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
