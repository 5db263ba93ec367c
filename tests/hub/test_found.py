"""What was pulled is found: by the engine at once, by name, by quantisation, and by a chat."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.errors import ModelNotFound, ModelUnavailable
from engine.library.hub_cache import models_in
from engine.local import LocalEngine
from engine.settings import Runtime, Settings
from engine.types import Done, GenerationRequest, HubQuery, LoadOptions, Message, PullRequest
from starter import hf_path
from tests.hub.conftest import noise
from tests.hub.server import HubServer
from tests.weights import tiny_chat

NAME = "org/tiny-GGUF"


@pytest.fixture
async def engine(
    hub: HubServer, cache: Path, hearth_home: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LocalEngine]:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    made = LocalEngine(Settings())
    yield made
    await made.close()


async def listed(engine: LocalEngine) -> dict[str, str]:
    return {entry.id: entry.source for entry in await engine.models()}


async def test_a_pulled_model_answers_without_a_restart(
    hub: HubServer, engine: LocalEngine, tmp_path: Path
) -> None:
    content = tiny_chat(tmp_path).read_bytes()
    hub.add(NAME, {"tiny-Q4_K_M.gguf": content, "tiny-Q8_0.gguf": content + bytes(64)})
    with pytest.raises(ModelNotFound):
        await engine.facts(NAME)
    assert f"{NAME}:Q4_K_M" not in await listed(engine)
    state = await engine.pull(PullRequest(model=NAME)).wait()
    assert state.stage == "done", state.error
    assert (await listed(engine))[f"{NAME}:Q4_K_M"] == "huggingface"
    await engine.pull(PullRequest(model=NAME, quantisation="Q8_0")).wait()
    assert f"{NAME}:Q8_0" in await listed(engine)
    request = GenerationRequest(
        model=f"hf.co/{NAME}",
        messages=(Message(role="user", content="hello"),),
        max_tokens=4,
        load=LoadOptions(context=256),
        sampling={"temperature": 0.0},
    )
    assert isinstance(await engine.generate(request).wait(), Done)
    # Of several quantisations the usual one answers, and what answers is not deleted.
    assert [model.id for model in engine.loaded()] == [f"{NAME}:Q4_K_M"]
    assert (await engine.cache_scan()).repositories[0].loaded
    for name in (f"{NAME}:Q4_K_M", NAME):
        with pytest.raises(ModelUnavailable):
            await engine.delete_weights(name)
    await engine.delete_weights(f"{NAME}:Q8_0")
    await engine.unload(f"{NAME}:Q4_K_M")
    freed = await engine.delete_weights(f"{NAME}:Q4_K_M")
    assert freed.size == len(content)
    assert f"{NAME}:Q4_K_M" not in await listed(engine)


async def test_any_model_that_is_listed_can_be_deleted_by_its_name(
    hub: HubServer, engine: LocalEngine, tmp_path: Path
) -> None:
    # Its folder in the cache has a name as long as a commit.
    name = "qwen/Qwen2.5-0.5B-Instruct-GGUF"
    assert len(f"models--{name.replace('/', '--')}") == 40
    content = tiny_chat(tmp_path).read_bytes()
    hub.add(name, {"qwen2.5-0.5b-instruct-q4_k_m.gguf": content})
    await engine.pull(PullRequest(model=name)).wait()
    assert f"{name}:Q4_K_M" in await listed(engine)
    assert (await engine.delete_weights(f"{name}:Q4_K_M")).size == len(content)
    assert f"{name}:Q4_K_M" not in await listed(engine)


async def test_a_model_folder_is_found_under_the_name_of_its_repository(
    hub: HubServer, engine: LocalEngine
) -> None:
    files = {path.name: path.read_bytes() for path in hf_path().iterdir() if path.is_file()}
    hub.add("org/ember", {**files, "pytorch_model.bin": noise(9000), "modeling_x.py": b"evil"})
    state = await engine.pull(PullRequest(model="org/ember")).wait()
    assert state.stage == "done", state.error
    assert sorted(names_in(state.path)) == sorted(files)
    (entry,) = [entry for entry in await engine.models() if entry.id == "org/ember"]
    assert (entry.format, entry.architecture, entry.source) == ("safetensors", "llama", "huggingface")
    assert entry.size == len(files["model.safetensors"])


async def test_a_model_that_sees_comes_with_its_projector(
    hub: HubServer, engine: LocalEngine, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    from tests.weights.llava import tiny_llava

    _, model, projector = tiny_llava(tmp_path)
    files = {"eye-Q8_0.gguf": model.read_bytes(), "mmproj-eye-f32.gguf": projector.read_bytes()}
    hub.add("org/eye-GGUF", {**files, "mmproj-eye-f16.gguf": projector.read_bytes() + bytes(32)})
    state = await engine.pull(PullRequest(model="org/eye-GGUF")).wait()
    assert state.stage == "done", state.error
    (entry,) = [entry for entry in await engine.models() if entry.id == "org/eye-GGUF:Q8_0"]
    assert entry.modalities == ("text", "image")
    assert entry.projector is not None and entry.projector.endswith("mmproj-eye-f16.gguf")
    assert len(names_in(state.path.rpartition("/")[0])) == 2


async def test_what_is_being_pulled_is_not_deleted(hub: HubServer, engine: LocalEngine, cache: Path) -> None:
    hub.add(NAME, {"tiny-Q4_K_M.gguf": noise(4 << 20)})
    hub.rate = 1e6
    stream = engine.pull(PullRequest(model=NAME, quantisation="Q4_K_M"))
    async for state in stream:
        if state.fetched:
            break
    with pytest.raises(ModelUnavailable, match="being pulled"):
        await engine.delete_weights(NAME)
    # Another engine, which knows nothing of the pull, sees that its file is open.
    other = (
        "import sys; from pathlib import Path; from engine.hub import cache; from engine.hub.reference import parse;"
        + ("cache.delete(Path(sys.argv[1]), parse(sys.argv[2]), cache.Loaded(), dry_run=False)")
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", other, str(cache), NAME], capture_output=True, text=True
    )
    assert "Open in" in done.stderr
    hub.rate = None
    assert (await stream.wait()).stage == "done"


async def test_newer_revisions_are_told_on_request(
    hub: HubServer, engine: LocalEngine, tmp_path: Path
) -> None:
    content = tiny_chat(tmp_path).read_bytes()
    first = hub.add(NAME, {"tiny-Q4_K_M.gguf": content})
    await engine.pull(PullRequest(model=NAME)).wait()
    (same,) = await engine.newer_revisions()
    assert (same.id, same.ref, same.local, same.newer) == (NAME, "main", first, False)
    second = hub.add(NAME, {"tiny-Q4_K_M.gguf": content + bytes(32)})
    (newer,) = await engine.newer_revisions(NAME)
    assert newer.newer and newer.remote == second
    del hub.repositories[NAME]
    (gone,) = await engine.newer_revisions()
    assert gone.problem is not None and not gone.newer


async def test_the_hub_and_the_card_through_the_engine(
    hub: HubServer, engine: LocalEngine, tmp_path: Path
) -> None:
    content = tiny_chat(tmp_path).read_bytes()
    hub.add(NAME, {"README.md": b"---\nx: y\n---\n# Tiny", "tiny-Q4_K_M.gguf": content})
    hub.add("org/other-GGUF", {"m.gguf": b"x"})
    await engine.pull(PullRequest(model=NAME)).wait()
    page = await engine.search_hub(HubQuery(text="tiny"))
    assert [(each.id, each.local) for each in page.models] == [(NAME, True)]
    assert [entry.id for entry in page.local] == [f"{NAME}:Q4_K_M"]
    assert (await engine.hub_card(NAME)).text == "# Tiny"
    (quantisation,) = (await engine.hub_files(NAME)).quantisations
    assert quantisation.present == len(content)
    assert [state.stage for state in engine.pulls()] == ["done"]
    assert not await engine.cancel_pull(engine.pulls()[0].id)


async def test_what_is_pulled_is_judged_by_the_settings_of_now(
    hub: HubServer, engine: LocalEngine, tmp_path: Path
) -> None:
    hub.add(NAME, {"tiny-Q4_K_M.gguf": tiny_chat(tmp_path).read_bytes()})
    engine.adopt(Settings(runtime=Runtime(context=64, slots=1)))
    (small,) = (await engine.hub_files(NAME)).quantisations
    engine.adopt(Settings(runtime=Runtime(context=64 * 1024, slots=1)))
    (large,) = (await engine.hub_files(NAME)).quantisations
    assert 0 < small.need < large.need


def names_in(folder: str) -> list[str]:
    return [path.name for path in Path(folder).iterdir()]


def test_revisions_and_quantisations_have_names_of_their_own(tmp_path: Path) -> None:
    def put(commit: str, *names: str) -> None:
        for name in names:
            path = tmp_path / "models--org--name/snapshots" / commit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"GGUF")

    main, other = "a" * 40, "b" * 40
    put(
        main,
        "m-Q4_K_M.gguf",
        "mmproj-f16.gguf",
        "big/m-BF16-00001-of-00002.gguf",
        "big/m-BF16-00002-of-00002.gguf",
    )
    put(other, "x-Q8_0.gguf", "y-Q8_0.gguf")
    (tmp_path / "models--org--name/refs").mkdir()
    (tmp_path / "models--org--name/refs/main").write_text(main)
    (tmp_path / "datasets--org--name/snapshots" / main).mkdir(parents=True)
    (tmp_path / "models--..--evil/snapshots" / main).mkdir(parents=True)
    (tmp_path / "models--..--evil/snapshots" / main / "m.gguf").write_bytes(b"GGUF")
    assert [name for _, name in models_in(tmp_path)] == [
        "org/name:Q4_K_M",
        "org/name:BF16",
        f"org/name@{other[:7]}:x-Q8_0",
        f"org/name@{other[:7]}:y-Q8_0",
    ]
    assert list(models_in(tmp_path / "nowhere")) == []
