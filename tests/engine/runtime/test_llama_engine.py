"""The whole road with llama.cpp in the worker, on tiny random weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.local import LocalEngine
from engine.types import Delta, Done, Failed, GenerationRequest, Loading, LoadOptions, Message
from tests.weights import tiny_llama

LOAD = LoadOptions(context=256, threads=1, batch_threads=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_llama(tmp_path_factory.mktemp("weights")))


def ask(model: str, **fields: object) -> GenerationRequest:
    said: dict[str, object] = {"prompt": "hello", "raw": True, "max_tokens": 24, "sampling": {"seed": 5}}
    return GenerationRequest(model=model, load=LOAD, **said | fields)  # type: ignore[arg-type]


async def answer(engine: LocalEngine, request: GenerationRequest) -> str:
    got = [event async for event in engine.generate(request)]
    assert isinstance(got[-1], Done), f"{got[-1]}"
    return "".join(event.text for event in got if isinstance(event, Delta))


async def test_it_loads_answers_and_repeats(engine: LocalEngine, model: str) -> None:
    got = [event async for event in engine.generate(ask(model))]
    assert {event.stage for event in got if isinstance(event, Loading)} >= {"weights"}
    end = got[-1]
    assert isinstance(end, Done) and end.backend == "llama" and end.usage.completion_tokens == 24
    first = "".join(event.text for event in got if isinstance(event, Delta))
    assert first and first == await answer(engine, ask(model))
    assert first != await answer(engine, ask(model, sampling={"seed": 6}))
    (loaded,) = engine.loaded()
    assert loaded.memory.weights > 0 and loaded.memory.kv_cache > 0 and loaded.memory.resident > 0
    assert loaded.facts is not None and loaded.facts.context == 256
    assert any(line.origin == loaded.id for line in engine.logs()), "native logs are kept"
    talk = ask(model, prompt=None, raw=False, messages=(Message(role="user", content="hi"),))
    assert await answer(engine, talk)
    assert await engine.detokenize(model, await engine.tokenize(model, "hello")) == "hello"


async def test_a_killed_worker_is_replaced(engine: LocalEngine, model: str) -> None:
    stream = engine.generate(ask(model, max_tokens=None, sampling={"ignore_eos": True}, overflow="shift"))
    async for event in stream:
        if isinstance(event, Delta):
            break
    (loaded,) = engine.loaded()
    assert loaded.pid is not None
    os.kill(loaded.pid, signal.SIGSEGV)
    end = await stream.wait()
    assert isinstance(end, Failed) and end.error.code == "worker_died" and "SIGSEGV" in end.error.why
    assert await answer(engine, ask(model))


@pytest.fixture
def cut(model: str, tmp_path: Path) -> Path:
    """A model file that ends too soon."""
    path = tmp_path / "cut.gguf"
    path.write_bytes(Path(model).read_bytes()[:20_000])
    return path


async def test_a_file_that_is_no_model_says_so(engine: LocalEngine, cut: Path) -> None:
    end = await engine.generate(ask(str(cut))).wait()
    assert isinstance(end, Failed) and end.error.code == "model_load_failed"
    assert end.error.what and end.error.why


def test_the_engine_starts_without_heavy_libraries(repository: Path) -> None:
    code = (
        "import sys; from engine.local import LocalEngine; LocalEngine();"
        "print(sorted({'duckdb', 'llama_cpp', 'jinja2', 'numpy', 'huggingface_hub', 'psutil'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
