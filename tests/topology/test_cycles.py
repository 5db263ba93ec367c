"""Models that come and go a hundred times leave nothing behind in the engine's own process."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import psutil
import pytest

from benchmarks.memory import THIRD_BILLION
from benchmarks.weights import write_llama
from engine.local import LocalEngine
from engine.types import Done, GenerationRequest, LoadOptions
from tests.topology.test_crashes import workers
from tests.weights import tiny_llama

MB = 2**20


def counts() -> tuple[int, int]:
    # Look-ups share a pool of a few threads, which fills up once and is no leak.
    threads = [each for each in threading.enumerate() if not each.name.startswith("asyncio_")]
    return psutil.Process().num_fds(), len(threads)


async def cycles(engine: LocalEngine, model: str, number: int) -> int:
    """Load, use and unload `model` that many times; bytes by which this process grew."""

    async def cycle() -> None:
        request = GenerationRequest(
            model=model, prompt="x", raw=True, max_tokens=2, load=LoadOptions(context=64, threads=1)
        )
        assert isinstance(await engine.generate(request).wait(), Done)
        await engine.tokenize(model, "x")
        await engine.unload(model)

    for _ in range(3):
        await cycle()
    await engine.request_log()
    gc.collect()
    before, settled = psutil.Process().memory_info().rss, counts()
    for _ in range(number):
        await cycle()
    gc.collect()
    grown = psutil.Process().memory_info().rss - before
    # Waits for the last descriptors to be closed; a leak is the test's own time limit.
    while workers() or any(now > then for now, then in zip(counts(), settled, strict=True)):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return grown


@pytest.mark.long
async def test_a_few_loads_leave_nothing_behind(engine: LocalEngine, tmp_path: Path) -> None:
    await cycles(engine, str(tiny_llama(tmp_path)), 3)
    assert engine.loaded() == []


@pytest.mark.long
async def test_a_hundred_loads_leave_nothing_behind(engine: LocalEngine, tmp_path: Path) -> None:
    grown = await cycles(engine, str(tiny_llama(tmp_path)), 100)
    assert grown < 50 * MB, f"{grown / MB:.1f} MB"


@pytest.mark.long
async def test_the_resident_set_is_foreseen(engine: LocalEngine, tmp_path: Path) -> None:
    """On a model of more than 300 MB, after it has read and written something."""
    path = write_llama(tmp_path / "large.gguf", THIRD_BILLION)
    assert path.stat().st_size > 300 * MB
    for options in (LoadOptions(context=1024, slots=2), LoadOptions(context=512, slots=8)):
        predicted = await engine.estimate(str(path), options)
        request = GenerationRequest(model=str(path), tokens=(40,) * 300, max_tokens=4, load=options)
        assert isinstance(await engine.generate(request).wait(), Done)
        (loaded,) = engine.loaded()
        memory = loaded.memory
        resident = psutil.Process(loaded.pid).memory_info().rss
        assert predicted.total == pytest.approx(memory.weights + memory.kv_cache + memory.compute, rel=0.05)
        assert predicted.resident == pytest.approx(resident, rel=0.10)
