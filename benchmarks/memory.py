"""What models take in memory against what was predicted, and what is left of them afterwards.

    python -m benchmarks.memory [--quick] [--dir FOLDER]

Budgets: predictions within 5 % of the allocator's own figures for several windows, slots and KV types, and the
worker's resident set within 10 % after real work, on a generated model of 340 MB; the engine's own process grows by
less than 50 MB over 100 loads and unloads (--quick: 10) and keeps no descriptor, thread or child. How long an estimate
takes is printed beside them: of a file in a new way, in a known one, and of a load for comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from msgspec import Struct

from benchmarks.figure import state
from benchmarks.weights import QUARTER_BILLION, Llama, cached_llama
from engine.local import LocalEngine
from engine.paths import resolve
from engine.settings import Runtime, Settings
from engine.types import Estimate, Failed, GenerationRequest, LoadedModel, LoadOptions

ALLOCATED, RESIDENT, GROWTH = 0.05, 0.10, 50
THIRD_BILLION = Llama(
    vocabulary=32_000,
    width=1024,
    layers=22,
    heads=16,
    kv_heads=8,
    feed_forward=2816,
    context=4096,
    kind="Q8_0",
)
WAYS = (
    LoadOptions(),
    LoadOptions(context=2048, slots=1),
    LoadOptions(context=512, slots=16),
    LoadOptions(context=2048, slots=2, kv_type="q8_0", flash_attention=True),
    # Without flash attention the buffers for scores fill only as the windows do.
    LoadOptions(context=448, slots=2, flash_attention=False),
)


class Load(Struct, frozen=True):
    """One load: how it was asked for, what was predicted, what came of it, resident set after some work."""

    options: LoadOptions
    predicted: Estimate
    loaded: LoadedModel
    resident: int

    @property
    def allocated_error(self) -> float:
        memory = self.loaded.memory
        return self.predicted.total / (memory.weights + memory.kv_cache + memory.compute) - 1

    @property
    def resident_error(self) -> float:
        return self.predicted.resident / self.resident - 1

    def line(self) -> str:
        plain = LoadOptions()
        said = {name: getattr(self.options, name) for name in plain.__struct_fields__}
        how = ", ".join(f"{name} {value}" for name, value in said.items() if value != getattr(plain, name))
        how = how or "as it comes"
        return (
            f"{how:<58}{self.predicted.total / 2**20:>9.1f} MiB{self.allocated_error:>+9.2%}"
            f"{self.resident / 2**20:>11.1f} MiB{self.resident_error:>+9.2%}"
        )


async def loads(engine: LocalEngine, model: str) -> list[Load]:
    """Load `model` in each way, have it read two long prompts at once, and see what it takes."""
    found = []
    for options in WAYS:
        predicted = await engine.estimate(model, options)
        requests = [
            GenerationRequest(
                model=model,
                tokens=(token,) * 400,
                max_tokens=8,
                load=options,
                keep_alive=-1,
                source="eval",
            )
            for token in (40, 50)
        ]
        for end in await asyncio.gather(*(engine.generate(request).wait() for request in requests)):
            if isinstance(end, Failed):
                raise SystemExit(end.error.sentence())
        (loaded,) = engine.loaded()
        resident = psutil.Process(loaded.pid).memory_info().rss
        found.append(Load(options, predicted, loaded, resident))
        print(found[-1].line(), flush=True)
        await engine.unload(model)
    return found


async def times(engine: LocalEngine, model: str, rounds: int) -> tuple[float, float, float]:
    """Median seconds of an estimate of a file in a way that is new, of one that is known, and of a load."""
    new, known, load = [], [], []
    for number in range(rounds):
        options = LoadOptions(context=256 + number, slots=1)
        for seconds, work in (
            (new, engine.estimate(model, options)),
            (known, engine.estimate(model, options)),
            (load, engine.load(model, options)),
        ):
            began = time.perf_counter()
            await work
            seconds.append(time.perf_counter() - began)
        await engine.unload(model)
    return statistics.median(new), statistics.median(known), statistics.median(load)


async def growth(engine: LocalEngine, model: str, cycles: int) -> tuple[float, str]:
    """Megabytes by which this process grows over `cycles` loads and unloads, and what is left over, in words."""

    async def cycle() -> None:
        await engine.load(model, LoadOptions(context=256, slots=1))
        await engine.unload(model)

    for _ in range(3):
        await cycle()
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss, process.num_fds(), _threads()
    for _ in range(cycles):
        await cycle()
    gc.collect()
    after = process.memory_info().rss, process.num_fds(), _threads()
    names = ("descriptors", "threads")
    left = [
        f"{more - less} {name}"
        for name, less, more in zip(names, before[1:], after[1:], strict=True)
        if more > less
    ]
    if children := process.children(recursive=True):
        left.append(f"{len(children)} children")
    return (after[0] - before[0]) / 2**20, ", ".join(left)


def _threads() -> int:
    # Look-ups share a pool of a few threads, which fills up once.
    return sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())


async def measure(folder: Path, *, quick: bool) -> bool:
    """Print all figures; whether all hold."""
    large = str(cached_llama(folder, THIRD_BILLION, "third-billion-q8_0"))
    small = str(cached_llama(folder, QUARTER_BILLION, "quarter-billion-q8_0"))
    cycles = 10 if quick else 100
    held = []
    with tempfile.TemporaryDirectory() as home:
        engine = LocalEngine(
            Settings(runtime=Runtime(max_models=1)), paths=resolve({"HEARTH_HOME": home}), thread=False
        )
        try:
            print(f"{'':<58}{'predicted':>13}{'error':>9}{'resident':>15}{'error':>9}")
            found = await loads(engine, large)
            worst = max(abs(load.allocated_error) for load in found)
            held.append(
                state(
                    "prediction against the allocator",
                    f"{worst:.2%} off at worst",
                    f"<= {ALLOCATED:.0%}",
                    holds=worst <= ALLOCATED,
                )
            )
            worst = max(abs(load.resident_error) for load in found)
            held.append(
                state(
                    "prediction against the resident set",
                    f"{worst:.2%} off at worst",
                    f"<= {RESIDENT:.0%}",
                    holds=worst <= RESIDENT,
                )
            )
            new, known, load = await times(engine, small, 3 if quick else 9)
            print(f"estimate: {new:.3f} s in a new way, {known:.4f} s in a known one; load: {load:.3f} s")
            grown, left = await growth(engine, small, cycles)
            held.append(
                state(
                    f"growth over {cycles} loads",
                    f"{grown:.1f} MB, left over: {left or 'nothing'}",
                    f"< {GROWTH} MB, nothing",
                    holds=grown < GROWTH and not left,
                )
            )
        finally:
            await engine.close()
    return all(held)


def main(argv: list[str]) -> int:
    """Print a line for each way to load, and the figures; 1 unless all hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10 loads instead of 100")
    parser.add_argument("--dir", type=Path, help="where the generated models are kept (default: the cache)")
    arguments = parser.parse_args(argv)
    folder = arguments.dir or resolve().cache / "benchmarks"
    return int(not asyncio.run(measure(folder, quick=arguments.quick)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
