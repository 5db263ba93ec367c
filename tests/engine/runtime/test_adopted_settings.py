"""Settings that are changed while the engine runs: the next answer and the next load go by them."""

from __future__ import annotations

from pathlib import Path

from engine.settings import Generation, Runtime, SamplingSettings, Settings
from engine.settings.catalogue import catalogue
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


async def test_what_is_kept_on_disk_goes_by_what_holds_at_the_load(open_engine: Open, tmp_path: Path) -> None:
    engine = open_engine()

    async def saved_by_a_load() -> list[Path]:
        """What lies on the disk once the model has read a long prompt and is gone."""
        for _ in range(2):
            end = await engine.generate(
                GenerationRequest(model=MODEL, prompt="so it goes " * 200, raw=True, max_tokens=1)
            ).wait()
            assert isinstance(end, Done)
        # What is asked a second time is in memory, if anything is kept at all.
        kept.append(end.usage.cached_tokens > 0)
        await engine.unload(MODEL)
        return list((tmp_path / "home").rglob("*.kv"))

    kept: list[bool] = []
    engine.adopt(Settings(runtime=Runtime(prefix_cache_disk=False)))
    assert await saved_by_a_load() == []
    engine.adopt(Settings(runtime=Runtime(prefix_cache=False)))
    assert await saved_by_a_load() == []
    engine.adopt(Settings())
    assert len(await saved_by_a_load()) == 1
    assert kept == [True, False, True]
    holds = catalogue()
    for name in ("prefix_cache", "prefix_cache_disk", "prefix_cache_disk_gb"):
        assert holds[f"runtime.{name}"].applies == "load"
