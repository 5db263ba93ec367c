"""Idle models give up their KV cache before one has to leave, and have it again with their next request."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from engine.errors import Unsupported
from engine.local import LocalEngine
from engine.runtime import host, room
from engine.types import EmbedRequest, Failed, LoadOptions
from tests.engine.runtime.conftest import Open
from tests.engine.runtime.test_room import MB, answer, ask, limited, model, until


@pytest.fixture
def acted(open_engine: Open, monkeypatch: pytest.MonkeyPatch) -> LocalEngine:
    """An engine with a gigabyte for all models, whose workers are played by `stand_in`."""
    monkeypatch.setattr(host, "WORKER", "tests.engine.runtime.stand_in")
    return open_engine(limited(1000))


@pytest.fixture(params=["real", "acted"])
def engine(request: pytest.FixtureRequest, open_engine: Open) -> LocalEngine:
    """The same with real workers, or with those that are played: they are to behave alike."""
    if request.param == "acted":
        played: LocalEngine = request.getfixturevalue("acted")
        return played
    return open_engine(limited(1000))


def states(engine: LocalEngine) -> dict[str, str]:
    return {each.id.rpartition("=")[2]: each.state for each in engine.loaded()}


def held(engine: LocalEngine, name: str) -> Any:
    return next(each for each in engine.loaded() if each.id.rpartition("=")[2] == name).memory


async def test_what_is_about_text_alone_needs_no_cache(open_engine: Open) -> None:
    engine = open_engine(limited(1000))
    first, second = model("a", 300, 400), model("b", 400, 100)
    await answer(engine, first)
    await answer(engine, second)
    assert await engine.tokenize(first, "hello")
    assert states(engine) == {"a": "shrunk", "b": "ready"}


async def test_a_cache_is_given_up_and_made_anew(engine: LocalEngine) -> None:
    first, second = model("a", 300, 400), model("b", 400, 100)
    await answer(engine, first)
    pid = engine.loaded()[0].pid
    await answer(engine, second)
    assert states(engine) == {"a": "shrunk", "b": "ready"}
    assert held(engine, "a").kv_cache == 0 and held(engine, "a").weights == 300 * MB
    await engine.unload(second)
    await answer(engine, first)
    assert states(engine) == {"a": "ready"}
    assert held(engine, "a").kv_cache == 400 * MB
    assert engine.loaded()[0].pid == pid, "its weights were there all the while"
    rows = [(row["state"], row["reason"]) for row in await engine.model_log()][::-1]
    assert rows == [("loaded", ""), ("shrunk", "room"), ("loaded", ""), ("unloaded", "asked")]


async def test_a_model_that_wants_its_cache_back_has_others_make_way(engine: LocalEngine) -> None:
    await answer(engine, model("a", 300, 400))
    await answer(engine, model("b", 400, 250))
    assert states(engine) == {"a": "shrunk", "b": "ready"}
    await answer(engine, model("a", 300, 400))
    assert states(engine) == {"a": "ready"}, "without its cache b would still be too large"
    await answer(engine, model("c", 100, 300))
    assert states(engine) == {"a": "shrunk", "c": "ready"}
    await answer(engine, model("a", 300, 400))
    assert states(engine) == {"a": "ready", "c": "shrunk"}


async def test_a_question_that_comes_while_a_cache_is_given_up_waits_for_its_turn(acted: LocalEngine) -> None:
    first, second = model("slow a", 300, 400), model("b", 400, 100)
    await answer(acted, first)
    other = asyncio.create_task(answer(acted, second))
    await asyncio.sleep(0.2)
    with pytest.raises(Unsupported, match="no vectors"):
        await acted.embed(EmbedRequest(model=first, inputs=("hello",)))
    await other
    for name, state in states(acted).items():
        assert (held(acted, name).kv_cache == 0) is (state == "shrunk"), name


async def test_a_cache_for_which_there_is_no_room_is_refused_with_figures(engine: LocalEngine) -> None:
    await answer(engine, model("a", 300, 400))
    await engine.pin(model("b", 400, 250))
    await answer(engine, model("b", 400, 250))
    end = await engine.generate(ask(model("a", 300, 400))).wait()
    assert isinstance(end, Failed) and end.error.code == "insufficient_memory"
    assert states(engine) == {"a": "shrunk", "b": "ready"}
    await engine.unpin(model("b", 400, 250))
    await answer(engine, model("a", 300, 400))


@pytest.mark.parametrize("kind", ["stubborn", "deaf"])
async def test_a_model_that_cannot_shrink_leaves_instead(
    acted: LocalEngine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    engine = acted
    monkeypatch.setattr(room, "PATIENCE", 0.2)
    await answer(engine, model(kind, 300, 400))
    await answer(engine, model("b", 400, 100))
    assert states(engine) == {"b": "ready"}


async def test_one_that_dies_while_it_gives_up_its_cache_holds_nobody_up(
    acted: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PATIENCE", 3600.0)
    first = model("deaf", 300, 400)
    await answer(acted, first)
    (loaded,) = acted.loaded()
    other = asyncio.create_task(answer(acted, model("b", 400, 100)))
    async with asyncio.timeout(120):
        # It waits for the answer that does not come.
        await until(lambda: acted._supervisor._room.places[first].resizing is not None)
        assert loaded.pid is not None
        os.kill(loaded.pid, signal.SIGKILL)
        await other
        await acted.unload(model("b", 400, 100))
        await answer(acted, first)
    assert states(acted) == {"deaf": "ready"}


async def test_a_shrunk_model_can_be_pinned_reloaded_and_unloaded(engine: LocalEngine) -> None:
    first = model("a", 300, 400)
    await answer(engine, first)
    await answer(engine, model("b", 400, 100))
    assert states(engine)["a"] == "shrunk"
    await engine.pin(first)
    await engine.load(first)
    assert states(engine)["a"] == "shrunk", "it is in memory, and nobody needs its cache"
    await engine.unload(model("b", 400, 100))
    await engine.load(first, LoadOptions(context=4096))
    assert states(engine) == {"a": "ready"}
    await engine.unload(first)
    assert states(engine) == {}


async def test_a_worker_that_dies_as_soon_as_it_is_loaded_ends_its_requests(acted: LocalEngine) -> None:
    engine = acted
    end = await engine.generate(ask(model("mortal", 10))).wait()
    assert isinstance(end, Failed) and end.error.code in ("worker_died", "model_load_failed")
    assert states(engine)["mortal"] == "failed"
