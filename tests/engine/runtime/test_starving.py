"""Memory that runs out in a load or a step: less is tried once, unless that was fixed; then it is told in figures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.errors import InsufficientMemory
from engine.local import LocalEngine
from engine.runtime import host
from engine.types import Delta, Done, Failed, GenerationRequest, LoadOptions
from starter import gguf_path
from tests.engine.runtime.conftest import Open
from tests.engine.runtime.test_room import answer, ask

MOST_KIB = 1_400_000
"""Address space of a worker in these tests: with the model's own window it would take 1.75 million, with half 1.1."""


def asking(model: str, prompt: str, load: LoadOptions | None = None) -> GenerationRequest:
    return GenerationRequest(model=model, prompt=prompt, raw=True, load=load or LoadOptions())


@pytest.fixture
def cramped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_engine: Open) -> LocalEngine:
    """An engine whose workers may have so much memory and no more, without anything that it measures saying so."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nulimit -v {MOST_KIB}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(host.sys, "executable", str(python))
    return open_engine()


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux holds a process to a size of its address space"
)
async def test_a_load_without_memory_is_tried_with_a_smaller_window(cramped: LocalEngine) -> None:
    """200 slots: 800 MiB of KV cache with the model's own window of 2048 tokens, 400 MiB with half of it."""
    path = str(gguf_path())
    with pytest.raises(InsufficientMemory) as raised:
        await cramped.load(path, LoadOptions(slots=200, context=2048, threads=2, batch_threads=2))
    assert "It was to need 1.3 GiB of main memory" in raised.value.why
    assert "MiB more were needed" in raised.value.why and "of main memory are free" in raised.value.why
    assert "a context below 2048" in raised.value.fix
    await cramped.load(path, LoadOptions(slots=200, threads=2, batch_threads=2))
    assert (await cramped.facts(path)).context == 1024


async def test_a_step_without_memory_is_tried_with_a_smaller_window(engine: LocalEngine) -> None:
    model = "scripted:steps_fit=4096,text=a b c"
    got = [event async for event in engine.generate(ask(model))]
    assert isinstance(got[-1], Done) and "".join(e.text for e in got if isinstance(e, Delta)) == "a b c"
    assert [event.seq for event in got] == list(range(got[0].seq, got[0].seq + len(got)))
    assert (await engine.facts(model)).context == 4096
    rows = [(row["state"], row["reason"]) for row in await engine.model_log()][::-1]
    assert rows == [("loaded", ""), ("unloaded", "reload"), ("loaded", "")]


async def test_only_once_for_each_request(engine: LocalEngine) -> None:
    model = "scripted:steps_fit=2048,text=a"
    end = await engine.generate(ask(model)).wait()
    assert isinstance(end, Failed) and end.error.code == "insufficient_memory"
    assert (await engine.facts(model)).context == 4096
    await answer(engine, model)
    assert (await engine.facts(model)).context == 2048


@pytest.mark.parametrize("load", [LoadOptions(context=8192), LoadOptions(cells=8192)])
async def test_a_window_that_was_asked_for_is_left(engine: LocalEngine, load: LoadOptions) -> None:
    model = "scripted:steps_fit=4096,text=a"
    end = await engine.generate(ask(model, load=load)).wait()
    assert isinstance(end, Failed) and end.error.code == "insufficient_memory"
    assert (await engine.facts(model)).context == 8192


async def test_a_window_is_not_made_smaller_than_its_prompt_or_the_least(engine: LocalEngine) -> None:
    for model, prompt in (
        ("scripted:context=800,steps_fit=10,text=a", "x"),
        ("scripted:steps_fit=10", "x" * 5000),
    ):
        end = await engine.generate(asking(model, prompt)).wait()
        assert isinstance(end, Failed) and end.error.code == "insufficient_memory"
    assert len([row for row in await engine.model_log() if row["state"] == "loaded"]) == 2


async def test_those_that_run_make_way_for_one_another_before_one_fails(engine: LocalEngine) -> None:
    """Memory for one and a half of them: what was kept goes first, then they take turns."""
    model = "scripted:room=300,tokens=60,context=1000"
    load = LoadOptions(context=1000)
    assert isinstance(await engine.generate(asking(model, "p" * 150, load)).wait(), Done)
    streams = [engine.generate(asking(model, letter * 120, load)) for letter in "ab"]
    ends = [await stream.wait() for stream in streams]
    assert [type(end) for end in ends] == [Done, Done]
    end = await engine.generate(asking(model, "c" * 400, load)).wait()
    assert isinstance(end, Failed) and end.error.code == "insufficient_memory"
    assert isinstance(await engine.generate(asking(model, "d" * 120, load)).wait(), Done)
