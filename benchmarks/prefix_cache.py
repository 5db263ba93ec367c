"""The prefix cache: what it saves of a shared prompt and after a restart, and what kept prefixes cost others.

    python -m benchmarks.prefix_cache [--quick] [--dir FOLDER]

Times to first token are ratios to the same prompt read from nothing, in the same run; the cost of kept prefixes is the
ratio of a decode step beside a full cache to one beside an empty cache, measured in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.engines import Asked, ask, engine_in, quarter_billion
from benchmarks.figure import state
from engine.runtime.backends.base import LoadSpec, Row, SequenceSpec
from engine.runtime.backends.llama.backend import LlamaBackend, open_model
from engine.sampling import resolve
from engine.types import CachePolicy, GenerationRequest, LoadOptions

SYSTEM = tuple(33 + (7 * index) % 400 for index in range(400))
LONG = tuple(33 + (11 * index) % 400 for index in range(3000))
LOAD = LoadOptions(context=4096, slots=4)


def prompt(*parts: tuple[int, ...], model: str, read: bool = True) -> GenerationRequest:
    """A prompt of these tokens, and a few tokens of answer; without `read` nothing of it comes from the cache."""
    return GenerationRequest(
        model=model,
        tokens=tuple(token for part in parts for token in part),
        max_tokens=8,
        sampling={"temperature": 0.0, "ignore_eos": True},
        keep_alive=-1,
        load=LOAD,
        cache=CachePolicy(read=read),
    )


def question(number: int) -> tuple[int, ...]:
    """Twenty tokens, others for each number."""
    return tuple(500 + (13 * number + index) % 90 for index in range(20))


async def shared_prompt(model: str, rounds: int) -> tuple[int, float]:
    """Cached tokens of a second question under the same 400 tokens, and its reading time over that without a cache."""
    async with engine_in(prefix_cache_disk=False) as engine:
        await ask(engine, prompt(SYSTEM, question(0), model=model))
        warm, cold, least = [], [], 1 << 30
        for number in range(1, rounds + 1):
            hit: Asked = await ask(engine, prompt(SYSTEM, question(number), model=model))
            least = min(least, hit.admitted.cached_tokens)
            warm.append(hit.reading_s)
            cold.append(
                (await ask(engine, prompt(SYSTEM, question(number), model=model, read=False))).reading_s
            )
    return least, statistics.median(warm) / statistics.median(cold)


async def restart(model: str) -> tuple[int, float, float]:
    """Tokens that a 3,000-token conversation computes anew after a restart; its TTFT without the load, over cold."""
    with tempfile.TemporaryDirectory() as home:
        async with engine_in(home) as engine:
            first = await ask(engine, prompt(LONG, model=model))
            cold = first.reading_s
        async with engine_in(home) as engine:
            await engine.load(model, LOAD)
            again = await ask(engine, prompt(LONG, question(1), model=model))
            computed = again.usage.prompt_tokens - again.admitted.cached_tokens
            waited = (again.timings.first_token - again.timings.submitted) / 1e9
            return computed, waited / cold, cold


def company(model: str, rounds: int) -> list[tuple[int, float]]:
    """By tokens kept on shelves: decode steps of one short sequence, over the same in turns beside none."""
    empty, full = opened(model), opened(model)
    shelf = full.facts.capabilities.max_slots
    found = []
    for part in range(6):
        compute(full, tuple((token + 31 * part) % 400 + 33 for token in LONG[:2000]))
        full.share(1, shelf + part, 0, 2000)
        full.remove(1)
        if part in (0, 2, 5):
            ratios = [step_s(full) / step_s(empty) for _ in range(rounds)]
            found.append((2000 * (part + 1), statistics.median(ratios)))
    empty.close()
    full.close()
    return found


def opened(model: str) -> LlamaBackend:
    """The model behind the step seam, with room for 16,384 tokens."""
    options = LoadOptions(context=4096, slots=4, batch=512)
    return open_model(LoadSpec(model="m", path=model, options=options), lambda stage, fraction: True)


def compute(backend: LlamaBackend, tokens: tuple[int, ...]) -> None:
    """Have `tokens` computed in slot 1."""
    insert(backend, 1, (*tokens, 33))
    left = len(tokens)
    while left:
        count = min(left, backend.batch_limit)
        backend.step([Row(1, count)])
        left -= count


def insert(backend: LlamaBackend, slot: int, tokens: tuple[int, ...]) -> None:
    """Put a greedy sequence into a slot."""
    backend.insert(
        SequenceSpec(
            slot=slot, tokens=tokens, sampling=resolve({"temperature": 0.0, "ignore_eos": True}), seed=1
        )
    )


def step_s(backend: LlamaBackend, steps: int = 8) -> float:
    """Seconds of a decode step, the median of some."""
    insert(backend, 0, LONG[:50])
    backend.step([Row(0, 50)])
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        backend.step([Row(0, 1)])
        times.append(time.perf_counter() - began)
    backend.remove(0)
    return statistics.median(times)


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a figure is over its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--dir", type=Path, help="where the generated model is kept (default: the cache)")
    options = parser.parse_args(argv)
    model = str(quarter_billion(options.dir))
    cached, ratio = asyncio.run(shared_prompt(model, 3 if options.quick else 9))
    held = [
        state("cached of a shared prompt of 400 tokens", f"{cached} tokens", ">= 399", holds=cached >= 399),
        state("its reading time", f"{ratio:.3f} of a cold one", "<= 0.5", holds=ratio <= 0.5),
    ]
    computed, waited, cold = asyncio.run(restart(model))
    held += [
        state("computed anew after a restart, of 3,020", f"{computed} tokens", "<= 21", holds=computed <= 21),
        state(
            "TTFT after a restart",
            f"{waited:.3f} of a cold one ({cold:.1f} s)",
            "<= 0.2",
            holds=waited <= 0.2,
        ),
    ]
    beside = company(model, 9 if options.quick else 25)
    for count, cost in beside:
        print(f"decode step beside {count:>6,} kept tokens: {cost:.3f} of one beside none")
    worst = max(cost for _, cost in beside)
    held.append(
        state("decode beside 12,000 kept tokens", f"{worst:.2f} of beside none", "<= 1.5", holds=worst <= 1.5)
    )
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
