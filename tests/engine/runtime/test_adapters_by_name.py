"""`model:adapter` on the whole road: a folder of PEFT beside a model answers like the GGUF of the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.library.conversions import Conversions
from engine.library.gguf import read_header
from engine.library.lora import base_of
from engine.library.peft import read_peft
from engine.local import LocalEngine
from engine.types import AdapterRef, Delta, Done, Failed, GenerationRequest, LoadOptions
from tests.weights import tiny_adapter, tiny_llama
from tests.weights.peft_folders import lora_tensors, write_peft

LOAD = LoadOptions(context=256, threads=1, batch_threads=1)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "adapters").mkdir(parents=True)
    write_peft(folder / "adapters" / "poet", lora_tensors(seed=3))
    write_peft(folder / "adapters" / "fancy", config={"use_dora": True})
    tiny_adapter(folder / "adapters").rename(folder / "adapters" / "pirate.gguf")
    return tiny_llama(folder)


async def answer(engine: LocalEngine, model: str, **fields: object) -> str:
    request = GenerationRequest(
        model=model, prompt="hello", raw=True, max_tokens=24, sampling={"temperature": 0.0}, load=LOAD,
        **fields,  # type: ignore[arg-type]
    )  # fmt: skip
    got = [event async for event in engine.generate(request)]
    assert isinstance(got[-1], Done), f"{got[-1]}"
    return "".join(event.text for event in got if isinstance(event, Delta))


async def test_every_way_to_name_an_adapter_reaches_the_model(
    engine: LocalEngine, model: Path, tmp_path: Path
) -> None:
    pirate = AdapterRef(str(model.parent / "adapters" / "pirate.gguf"))
    base = base_of("tiny", [read_header(model)])
    poet = Conversions(tmp_path / "by hand").gguf_of(read_peft(model.parent / "adapters" / "poet"), base)
    plain = await answer(engine, str(model))
    by_hand = {
        "poet": await answer(engine, str(model), adapters=(AdapterRef(str(poet)),)),
        "poet=0.5": await answer(engine, str(model), adapters=(AdapterRef(str(poet), 0.5),)),
        "poet=0.5+pirate": await answer(engine, str(model), adapters=(AdapterRef(str(poet), 0.5), pirate)),
    }
    assert len({plain, *by_hand.values()}) == 4
    for name, expected in by_hand.items():
        assert await answer(engine, f"{model}:{name}") == expected
    assert await answer(engine, str(model), adapters=(AdapterRef("poet", 0.5),)) == by_hand["poet=0.5"]
    assert await answer(engine, f"{model}:base") == plain
    assert await answer(engine, str(model)) == plain
    (loaded,) = engine.loaded()
    assert loaded.state in ("ready", "busy"), "one model, loaded once"


async def test_an_adapter_that_cannot_be_used_fails_its_request_alone(
    engine: LocalEngine, model: Path
) -> None:
    request = GenerationRequest(model=f"{model}:fancy", prompt="hello", raw=True, load=LOAD)
    end = await engine.generate(request).wait()
    assert isinstance(end, Failed) and end.error.code == "unsupported" and "use_dora" in end.error.why
    assert await answer(engine, str(model))
