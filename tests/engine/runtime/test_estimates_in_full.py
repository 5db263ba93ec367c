"""Estimates of models of 340 and 400 MB beside what they really take, windows full, under each backend."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import psutil
import pytest

from benchmarks.folders import model_in
from benchmarks.memory import THIRD_BILLION
from benchmarks.weights import write_llama
from engine.local import LocalEngine
from engine.types import BackendName, Done, Estimate, GenerationRequest, LoadedModel, LoadOptions, MemoryUse

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

CONTEXT = 512
WAYS: dict[str, LoadOptions] = {
    "two windows": LoadOptions(context=CONTEXT, slots=2),
    "one window": LoadOptions(context=CONTEXT, slots=1),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def gguf(folder: Path) -> str:
    return str(write_llama(folder / "third-billion.gguf", THIRD_BILLION))


@pytest.fixture(scope="module")
def safetensors(folder: Path) -> str:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return str(model_in(folder))


async def filled(
    engine: LocalEngine, model: str, options: LoadOptions, backend: BackendName = "auto"
) -> tuple[Estimate, LoadedModel, MemoryUse]:
    """What was predicted; the model with every window full; its memory then, and the resident set at its highest."""
    requests = [
        GenerationRequest(
            model=model,
            tokens=(token,) * (CONTEXT - 24),
            max_tokens=16,
            sampling={"ignore_eos": True, "temperature": 0.0},
            load=options,
            backend=backend,
            keep_alive=-1,
        )
        for token in (40, 50)[: options.slots]
    ]
    for end in await asyncio.gather(*(engine.generate(request).wait() for request in requests)):
        assert isinstance(end, Done) and end.backend == (backend if backend != "auto" else "llama"), end
    (loaded,) = engine.loaded()
    assert loaded.estimate is not None and loaded.estimate.correction == 1.0
    memory = MemoryUse(resident=psutil.Process(loaded.pid).memory_info().rss)
    return loaded.estimate, loaded, memory


@pytest.mark.parametrize("way", WAYS)
async def test_llama(engine: LocalEngine, gguf: str, way: str) -> None:
    estimate, loaded, now = await filled(engine, gguf, WAYS[way])
    real = loaded.memory
    print("llama", way, estimate, real, now)
    assert estimate.total == pytest.approx(real.weights + real.kv_cache + real.compute, rel=0.05)
    assert estimate.resident == pytest.approx(now.resident, rel=0.1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("backend", ["transformers", "mlx"])
async def test_folders(engine: LocalEngine, safetensors: str, backend: BackendName, way: str) -> None:
    if backend == "mlx" and importlib.util.find_spec("mlx_lm") is None:
        pytest.skip("MLX is not installed")
    estimate, loaded, now = await filled(engine, safetensors, WAYS[way], backend)
    print(backend, way, estimate, loaded.memory, now)
    assert estimate.devices[0].weights == pytest.approx(loaded.memory.weights, rel=0.05)
    assert estimate.resident == pytest.approx(now.resident, rel=0.1)
