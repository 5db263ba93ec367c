"""A request that names a backend is answered by that one; who names none takes what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.local import LocalEngine
from engine.types import BackendName, Done, GenerationRequest, LoadOptions
from tests.weights.hf_folders import write_hf

LOAD = LoadOptions(context=64, slots=1)


@pytest.fixture
def model(tmp_path: Path) -> str:
    pytest.importorskip("mlx_lm")
    return str(write_hf(tmp_path / "llama", "llama"))


async def ended(engine: LocalEngine, model: str, backend: BackendName, **fields: object) -> Done:
    said: dict[str, object] = {"prompt": "hello", "raw": True, "max_tokens": 2} | fields
    request = GenerationRequest(model=model, backend=backend, load=LOAD, **said)  # type: ignore[arg-type]
    end = await engine.generate(request).wait()
    assert isinstance(end, Done), end
    return end


@pytest.mark.long
async def test_the_backend_that_is_named_answers(engine: LocalEngine, model: str) -> None:
    assert (await ended(engine, model, "mlx")).backend == "mlx"
    (loaded,) = engine.loaded()
    assert (await ended(engine, model, "auto")).backend == "mlx", "who names none is content with it"
    assert (await ended(engine, model, "mlx", prompt=None, raw=False)).reason == "loaded"
    assert len(await engine.tokenize(model, "hi", special=False)) == 2
    assert engine.loaded()[0].pid == loaded.pid
    assert (await ended(engine, model, "transformers")).backend == "transformers"
    (other,) = engine.loaded()
    assert other.pid != loaded.pid
    assert (await ended(engine, model, "transformers", prompt=None, raw=False)).reason == "loaded"
    assert engine.loaded()[0].pid == other.pid
    rows: list[dict[str, object]] = []
    while len(rows) < 3:
        rows = await engine.model_log()
    assert [(row["state"], row["backend"]) for row in reversed(rows)] == [
        ("loaded", "mlx"), ("unloaded", "mlx"), ("loaded", "transformers"),
    ]  # fmt: skip
