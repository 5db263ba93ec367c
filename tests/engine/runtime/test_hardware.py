"""The engine's word on its machine: models with their processes and rates, and GPUs that only torch can use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.errors import HearthError
from engine.local import LocalEngine
from engine.runtime.meter import Meter
from engine.runtime.wire import Item, Notice, Piece
from engine.types import (
    Admitted,
    Done,
    GenerationRequest,
    HardwarePoint,
    Prefill,
)


async def test_a_model_shows_with_its_process_and_its_tokens(engine: LocalEngine) -> None:
    assert (await engine.hardware()).models == ()
    stream = engine.generate(
        GenerationRequest(model="ember", prompt="one two three", raw=True, max_tokens=12, keep_alive=60.0)
    )
    await stream.wait()
    assert engine._supervisor.token_counts()["ember"].decoded > 0
    assert engine._supervisor.token_counts()["ember"].prefilled > 0
    rates, found = [], None
    while not rates or not any(rates):
        found = await engine.hardware()
        rates += [model.decode_rate for model in found.models]
        await asyncio.sleep(0.1)
    assert found is not None
    (model,) = found.models
    assert model.model.id == "ember" and model.model.pid is not None
    assert model.resident > 2**24
    assert model.leaves_s is not None and 0 < model.leaves_s <= 60
    history = await engine.hardware_history(3600)
    assert history and all(isinstance(point, HardwarePoint) for point in history)
    assert [point.t_unix for point in history] == sorted(point.t_unix for point in history)


async def test_points_are_kept_for_the_history_of_the_next_run(engine: LocalEngine) -> None:
    point = HardwarePoint(t_unix=(await engine.hardware()).t_unix - 1800, cpu=0.5)
    engine._keep_point(point)
    (kept, *_) = await engine.hardware_history(3600)
    assert kept.cpu == 0.5 and abs(kept.t_unix - point.t_unix) <= 30


async def test_a_closed_engine_says_so(engine: LocalEngine) -> None:
    await engine.hardware()
    await engine.close()
    with pytest.raises(HearthError, match="closing"):
        await engine.hardware()


def counted(items: Sequence[Item]) -> tuple[int, int]:
    meter = Meter()
    for item in items:
        meter.take(item)
    return meter.decoded, meter.prefilled


def test_tokens_of_prompts_are_counted_as_they_are_computed() -> None:
    def piece(key: int, tokens: int = 1) -> Piece:
        return Piece(key, 0, 0, False, "x", tokens)

    admitted = Notice(1, Admitted(prompt_tokens=100, cached_tokens=40))
    assert counted([admitted, Notice(1, Prefill(done=70, total=100))]) == (0, 30)
    assert counted([admitted, Notice(1, Prefill(done=70, total=100)), piece(1, 2), piece(1, 3)]) == (5, 60)
    assert counted([admitted, piece(1)]) == (1, 60), "a prompt that took one step"
    assert counted([admitted, Notice(1, Done(reason="cancelled")), piece(1)]) == (1, 0)
    again = [admitted, Notice(1, Prefill(done=100, total=100)), admitted, piece(1)]
    assert counted(again) == (1, 120), "what is computed twice counts twice"
