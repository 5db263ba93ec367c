"""Embeddings and rankings through the whole engine, beside chats on the same weights."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from engine.errors import ContextOverflow, InvalidRequest, QueueFull, Unsupported
from engine.local import LocalEngine
from engine.settings import Runtime, Settings
from engine.types import (
    Delta,
    Done,
    Embeddings,
    EmbedRequest,
    GenerationRequest,
    LoadOptions,
    RerankRequest,
)
from tests.engine.runtime.conftest import Open
from tests.weights import tiny_bert, tiny_cross_encoder, tiny_llama

LOAD = LoadOptions(context=256, slots=4, threads=1, batch_threads=1, flash_attention=False)
TEXTS = ("the hearth is warm", "a cat sleeps beside it", "rain")


def numbers(vector: bytes) -> list[float]:
    return [each for (each,) in struct.iter_unpack("<f", vector)]


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_llama(tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_bert(tmp_path_factory.mktemp("weights")))


@pytest.mark.parametrize("name", ["chat", "bert"])
async def test_texts_become_vectors_of_length_one(
    engine: LocalEngine, name: str, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    made = await engine.embed(EmbedRequest(model=model, inputs=TEXTS, load=LOAD))
    assert len(made.vectors) == len(made.tokens) == 3 and made.model == model and made.total_s > 0
    for vector in map(numbers, made.vectors):
        assert len(vector) == made.dimensions
        assert sum(each * each for each in vector) == pytest.approx(1.0, abs=1e-4)
    (alone,) = (await engine.embed(EmbedRequest(model=model, inputs=TEXTS[1:2], load=LOAD))).vectors
    assert numbers(alone) == pytest.approx(numbers(made.vectors[1]), abs=5e-3)
    short = await engine.embed(EmbedRequest(model=model, inputs=TEXTS, dimensions=8, load=LOAD))
    assert short.dimensions == 8 and all(len(each) == 32 for each in short.vectors)


async def test_many_texts_do_not_disturb_a_chat(engine: LocalEngine, chat: str) -> None:
    request = GenerationRequest(
        model=chat,
        prompt="once upon a time",
        raw=True,
        max_tokens=60,
        sampling={"temperature": 0.0},
        load=LOAD,
    )

    async def answer() -> str:
        got = [event async for event in engine.generate(request)]
        assert isinstance(got[-1], Done)
        return "".join(event.text for event in got if isinstance(event, Delta))

    alone = await answer()
    many = EmbedRequest(model=chat, inputs=TEXTS * 60, load=LOAD, priority="batch")
    beside, made = await asyncio.gather(answer(), engine.embed(many))
    assert beside == alone and len(made.vectors) == 180
    (loaded,) = engine.loaded()
    assert loaded.state == "ready"


async def test_documents_are_ranked_by_a_model_with_a_head_for_it(
    engine: LocalEngine, tmp_path: Path, chat: str
) -> None:
    model = str(tiny_cross_encoder(tmp_path))
    asked = RerankRequest(model=model, query="warm", documents=TEXTS, top_n=2, load=LOAD)
    ranking = await engine.rerank(asked)
    assert len(ranking.results) == 2 and ranking.tokens > 0
    assert [each.score for each in ranking.results] == sorted(
        (each.score for each in ranking.results), reverse=True
    )
    with pytest.raises(Unsupported, match="rank"):
        await engine.rerank(RerankRequest(model=chat, query="x", documents=TEXTS, load=LOAD))


async def test_what_cannot_be_read_says_so(engine: LocalEngine, chat: str) -> None:
    for asked, error in (
        (EmbedRequest(model=chat, inputs=("x" * 3000,), truncate=False, load=LOAD), ContextOverflow),
        (EmbedRequest(model=chat, inputs=((999_999,),), load=LOAD), InvalidRequest),
        (EmbedRequest(model=chat, inputs=("x",), dimensions=100_000, load=LOAD), InvalidRequest),
        (EmbedRequest(model="scripted:", inputs=("x",)), Unsupported),
    ):
        with pytest.raises(error):
            await engine.embed(asked)
    cut = await engine.embed(EmbedRequest(model=chat, inputs=("x" * 3000, "y"), load=LOAD))
    assert cut.truncated == (True, False)


async def test_a_call_that_nobody_waits_for_is_dropped(engine: LocalEngine, chat: str) -> None:
    await engine.embed(EmbedRequest(model=chat, inputs=("warm up",), load=LOAD))
    long = asyncio.create_task(engine.embed(EmbedRequest(model=chat, inputs=("z" * 250,) * 2000, load=LOAD)))
    await asyncio.sleep(0)
    (soon,) = (await engine.embed(EmbedRequest(model=chat, inputs=("y",), load=LOAD))).vectors
    assert soon
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    assert await engine.embed(EmbedRequest(model=chat, inputs=("x",), load=LOAD))
    assert await engine.tokenize(chat, "still there")


async def test_calls_with_texts_wait_in_a_bounded_line(open_engine: Open, chat: str) -> None:
    engine = open_engine(Settings(runtime=Runtime(queue_api=3)))
    await engine.load(chat, LOAD)
    request = EmbedRequest(model=chat, inputs=("night and snow " * 12,) * 40, load=LOAD)
    answers = await asyncio.gather(*(engine.embed(request) for _ in range(9)), return_exceptions=True)
    refused = [each for each in answers if isinstance(each, QueueFull)]
    assert refused and "queue_api" in refused[0].fix
    assert sum(isinstance(each, Embeddings) for each in answers) == 9 - len(refused) >= 3
    assert (await engine.embed(request)).vectors, "there is room again"
