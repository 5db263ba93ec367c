"""A model of Ollama's store answers as its layers say, under what aliases and requests say; its files stay Ollama's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.errors import InvalidRequest
from engine.local import LocalEngine
from engine.types import Alias, Delta, Done, Failed, GenerationRequest, LoadOptions, Message
from starter import adapter_path, gguf_path
from tests.ollama import layer, manifest


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with ember: set up, with an adapter, and damaged."""
    folder = tmp_path / "ollama"
    weights = layer(folder, "model", gguf_path())
    said = {"temperature": 0, "num_predict": 12, "num_ctx": 256, "stop": ["zebra"]}
    set_up = [weights, layer(folder, "system", "Answer in one word."), layer(folder, "params", said)]
    manifest(folder, "ember:brief", set_up)
    manifest(folder, "ember:pirate", [*set_up, layer(folder, "adapter", adapter_path("pirate"))])
    monkeypatch.setenv("OLLAMA_MODELS", str(folder))
    return folder


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def answer(engine: LocalEngine, request: GenerationRequest) -> tuple[str, Done]:
    got = [event async for event in engine.generate(request)]
    assert isinstance(got[-1], Done), f"{got[-1]}"
    return "".join(event.text for event in got if isinstance(event, Delta)), got[-1]


def ask(model: str, text: str = "Where is the sea?", system: str | None = None) -> GenerationRequest:
    load = LoadOptions(threads=1, batch_threads=1, slots=1)
    return GenerationRequest(
        model=model, messages=(Message(role="user", content=text),), system=system, load=load
    )


async def test_it_answers_as_its_layers_say(engine: LocalEngine, store: Path) -> None:
    text, end = await answer(engine, ask("ember:brief"))
    plain = replace(
        ask("ember", system="Answer in one word."),
        sampling={"temperature": 0},
        max_tokens=12,
        load=LoadOptions(context=256, threads=1, batch_threads=1, slots=1),
    )
    assert text and text == (await answer(engine, plain))[0]
    assert 0 < end.usage.completion_tokens <= 12
    assert {model.id: model.facts.context for model in engine.loaded() if model.facts} == {
        "ember": 256,
        "ember:brief": 256,
    }
    changed, end = await answer(engine, ask("ember:pirate"))
    assert end.adapters and changed != text


async def test_where_each_value_comes_from(engine: LocalEngine, store: Path) -> None:
    await engine.put_alias("mine", Alias(model="ember:brief", system="Be long.", stop=("fin",)))

    async def said(name: str) -> dict[str, tuple[object, str]]:
        return {each.name: (each.value, each.origin) for each in (await engine.setup(name)).values}

    own, alias = await said("ember:brief"), await said("mine")
    assert own["system"] == ("Answer in one word.", "model") and own["stop"] == (("zebra",), "model")
    assert own["max_tokens"] == (12, "model") and own["load.context"] == (256, "model")
    assert own["sampling.temperature"] == (0, "model")
    assert alias["system"] == ("Be long.", "alias") and alias["stop"] == (("fin",), "alias")
    assert alias["max_tokens"] == (12, "model") and alias["sampling.temperature"] == (0, "model")


async def test_its_files_are_deleted_by_ollama_alone(engine: LocalEngine, store: Path) -> None:
    before = everything(store)
    for name in ("ember:brief", "ollama:ember:brief"):
        with pytest.raises(InvalidRequest) as caught:
            await engine.delete_weights(name)
        assert "belongs to Ollama" in str(caught.value) and "ollama rm ember:brief" in caught.value.fix
    assert everything(store) == before


async def test_what_is_damaged_cannot_be_loaded(engine: LocalEngine, store: Path) -> None:
    path = manifest(store, "torn", [layer(store, "model", gguf_path())])
    said = json.loads(path.read_text())
    said["layers"][0]["digest"] = "sha256:" + "0" * 64
    path.write_text(json.dumps(said))
    got = [event async for event in engine.generate(ask("torn"))]
    assert isinstance(got[-1], Failed) and "is missing" in got[-1].error.why
