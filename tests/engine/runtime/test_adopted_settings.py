"""Settings that are changed while the engine runs: the next answer and the next load go by them."""

from __future__ import annotations

from engine.settings import Generation, Runtime, SamplingSettings, Settings
from engine.types import Done, GenerationRequest
from tests.engine.runtime.conftest import Open

MODEL = "scripted:text=one two three four five six"


async def test_answers_and_loads_go_by_what_holds_now(open_engine: Open) -> None:
    engine = open_engine(Settings(runtime=Runtime(slots=2)))

    async def tokens() -> int:
        end = await engine.generate(
            GenerationRequest(model=MODEL, prompt="x", sampling={"ignore_eos": True})
        ).wait()
        assert isinstance(end, Done)
        return end.usage.completion_tokens

    engine.adopt(Settings(runtime=Runtime(slots=2), generation=Generation(max_tokens=3)))
    assert await tokens() == 3
    [loaded] = engine.loaded()
    assert loaded.estimate is not None and loaded.estimate.slots == 2
    engine.adopt(
        Settings(
            runtime=Runtime(slots=3),
            generation=Generation(max_tokens=2, sampling=SamplingSettings(temperature=0)),
        )
    )
    assert await tokens() == 2
    await engine.unload(MODEL)
    assert await tokens() == 2
    [loaded] = engine.loaded()
    assert loaded.estimate is not None and loaded.estimate.slots == 3
    assert (await engine.estimate(MODEL)).slots == 3
