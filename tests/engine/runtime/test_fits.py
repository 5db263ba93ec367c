"""What of a folder of models in published sizes would fit: by headers, in one call, without trying a file."""

from __future__ import annotations

import time
from pathlib import Path

import gguf
import numpy as np
import pytest
from msgspec.structs import replace

from engine.errors import ModelLoadFailed
from engine.library import catalog
from engine.library.verdicts import STEP
from engine.local import LocalEngine
from engine.runtime.estimates import Estimator
from engine.runtime.outlines import outliner
from engine.runtime.ticket import Target
from engine.settings import Models, Runtime, Settings
from engine.types import Alias, Device, LoadOptions
from tests.engine.runtime.conftest import Open
from tests.weights import tiny_llama
from tests.weights.published import PUBLISHED

GIB = 2**30
ONE = LoadOptions(context=4096, slots=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    for name in ("Llama 3.1 8B", "LFM2 1.2B", "OpenELM 270M", "Gemma 3 4B"):
        PUBLISHED[name].write(folder / f"{name.replace(' ', '-')}.gguf")
    (folder / "broken.gguf").write_bytes(b"GGUF\x03\0\0\0")
    return folder


def opened(open_engine: Open, folder: Path, gibibytes: float, **runtime: int) -> LocalEngine:
    limit = Runtime(memory_limit=int(gibibytes * GIB), memory_margin=0.0, **runtime)  # type: ignore[arg-type]
    return open_engine(Settings(models=Models(folders=(str(folder),)), runtime=limit))


async def test_verdicts_of_all_models_that_can_be_run(open_engine: Open, folder: Path) -> None:
    # Gemma 3 4B in F16: 6.0 GiB of weights, 0.5 GiB of keys and values at 4096 tokens, buffers, the process.
    found = {fit.model: fit for fit in await opened(open_engine, folder, 6.9).fits(options=ONE)}
    assert "broken" not in found
    verdicts = {name: fit.verdict for name, fit in found.items() if not name.startswith("ember")}
    assert verdicts == {
        "Llama-3.1-8B": "too big",
        "LFM2-1.2B": "fits",
        "OpenELM-270M": "fits",
        "Gemma-3-4B": "tight",
    }
    llama = found["Llama-3.1-8B"]
    assert llama.largest_context == 0 and llama.quantisation == "Q6_K" and llama.context == 4096
    assert llama.needs["main memory"] > 13 * GIB and llama.free == {"main memory": int(6.9 * GIB)}
    assert found["OpenELM-270M"].largest_context == 2048, "no more than it was trained for"


async def test_the_longest_window_is_where_the_estimate_turns(open_engine: Open, folder: Path) -> None:
    engine = opened(open_engine, folder, 3.0)
    [fit] = await engine.fits(["LFM2-1.2B"], LoadOptions(context=4096, slots=1))
    estimate = await engine.estimate("LFM2-1.2B", ONE)
    assert estimate.verdict == "fits" and estimate.exact
    assert 4096 < estimate.largest_context < 128_000
    assert fit.largest_context == pytest.approx(estimate.largest_context, rel=0.1), (
        "headers alone tell nearly"
    )
    longest = LoadOptions(context=estimate.largest_context, slots=1)
    assert (await engine.estimate("LFM2-1.2B", longest)).verdict == "tight"
    # What grows with the window is told by the headers: beside a dry run they may be off by a little.
    beyond = LoadOptions(context=int(1.1 * estimate.largest_context) // STEP * STEP, slots=1)
    refused = await engine.estimate("LFM2-1.2B", beyond)
    assert refused.verdict == "too big" and not refused.fits
    assert f"context of {refused.largest_context}" in refused.advice
    assert refused.largest_context == pytest.approx(estimate.largest_context, rel=0.1)


async def test_a_window_that_nobody_asked_for_counts_as_what_fits_of_it(
    open_engine: Open, folder: Path
) -> None:
    engine = opened(open_engine, folder, 6.7, slots=4)
    [fit] = await engine.fits(["Gemma-3-4B"])
    assert fit.verdict == "tight" and fit.context == fit.largest_context < 8192
    [asked] = await engine.fits(["Gemma-3-4B"], LoadOptions(context=8192))
    assert asked.verdict == "too big" and asked.context == 8192


async def test_what_is_not_there_is_unknown_and_the_order_is_kept(open_engine: Open, folder: Path) -> None:
    found = await opened(open_engine, folder, 8).fits(["nothing", "OpenELM-270M", "broken"])
    assert [each.model for each in found] == ["nothing", "OpenELM-270M", "broken"]
    assert [each.verdict for each in found] == ["unknown", "fits", "unknown"] and found[0].reason


@pytest.mark.long
async def test_a_thousand_models_are_judged_without_reading_one_twice(
    open_engine: Open, tmp_path: Path
) -> None:
    path = tiny_llama(tmp_path)
    for number in range(999):
        (tmp_path / f"copy-{number}.gguf").write_bytes(path.read_bytes())
    engine = opened(open_engine, tmp_path, 8)
    assert len(await engine.models()) >= 1000
    began = time.perf_counter()
    found = await engine.fits()
    print(f"{len(found)} verdicts in {time.perf_counter() - began:.2f} s")
    assert sum(each.verdict == "fits" for each in found) >= 1000


async def test_layers_that_no_gpu_has_room_for_are_the_processors(
    open_engine: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Device(name="CUDA0", kind="gpu", free=8 * GIB, total=8 * GIB)
    devices = (Device(name="CPU", free=64 * GIB, total=64 * GIB), gpu)

    async def made_up(self: object, *_: object) -> tuple[Device, ...]:
        return devices

    monkeypatch.setattr(Estimator, "devices", made_up)
    monkeypatch.setattr(Estimator, "devices_now", made_up)
    engine = opened(open_engine, folder, 48)
    names = ["Llama-3.1-8B", "LFM2-1.2B"]
    found = {fit.model: fit for fit in await engine.fits(names, ONE)}
    # 15 GiB of weights: half of them beside, as a load does it.
    llama = found["Llama-3.1-8B"]
    assert llama.verdict == "tight" and 0 < llama.needs["CUDA0"] < 8 * GIB
    assert llama.needs["main memory"] > 4 * GIB
    assert found["LFM2-1.2B"].verdict == "fits"
    # Who says how many layers are to be there means it.
    (whole,) = await engine.fits(names[:1], LoadOptions(context=4096, slots=1, gpu_layers=99))
    assert whole.verdict == "too big"
    rows = {row.name: row for row in await engine.listing()}
    assert rows["Llama-3.1-8B"].verdict == "tight" and not rows["Llama-3.1-8B"].reason


async def test_a_projector_is_counted_in_lists_too(open_engine: Open) -> None:
    engine = open_engine()
    (seeing,) = [fit for fit in await engine.fits() if fit.model == "ember-vision"]
    estimate = await engine.estimate("ember-vision")
    assert estimate.devices[0].projector > 0
    entry = next(entry for entry in await engine.models() if entry.id == "ember-vision")
    row = next(row for row in await engine.listing() if row.name == "ember-vision")
    assert row.need == sum(seeing.needs.values())
    blind = outliner(
        engine._targets,
        Target(entry=replace(entry, projector=None), backend="llama"),
        LoadOptions(slots=4),
        (Device(name="CPU"),),
        Runtime(),
    )
    assert blind is not None
    assert row.need - sum(blind(None).demand.values()) == pytest.approx(
        estimate.devices[0].projector, rel=0.01
    )


async def test_a_list_takes_few_looks_at_the_folders_however_many_aliases_there_are(
    open_engine: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(open_engine, folder, 8)
    for number in range(12):
        await engine.put_alias(f"gone-{number}", Alias(model=f"org/gone-{number}"), force=True)
        await engine.put_alias(f"latest-{number}", Alias(model="LFM2-1.2B:latest"))
        guessed = LoadOptions(draft_model="OpenELM-270M", context=256)
        await engine.put_alias(f"guessed-{number}", Alias(model="LFM2-1.2B", load=guessed))
    looks = []
    look = catalog._model_files
    monkeypatch.setattr(catalog, "_model_files", lambda place: [looks.append(place), *look(place)][1:])
    rows = {row.name: row for row in await engine.listing()}
    assert looks.count(folder) == 2
    assert "gone-3" in rows["gone-3"].reason and not rows["latest-3"].reason
    assert rows["guessed-3"].need > rows["latest-3"].need


@pytest.mark.parametrize(
    ("architecture", "said", "why"),
    [
        ("llama", {"block_count": 2**31}, "claims 2,147,483,648 layers"),
        ("llama", {"block_count": 60_000}, "claims 60,000 layers"),
        ("qwen3next", {"full_attention_interval": 0}, ""),
        ("gemma3", {"attention.sliding_window": 2**32 - 1, "attention.sliding_window_pattern": 0}, ""),
        ("llama", {"attention.head_count": 0, "embedding_length": 2**31, "context_length": 2**32 - 1}, ""),
    ],
)
async def test_no_header_keeps_other_models_from_being_listed(
    open_engine: Open, tmp_path: Path, architecture: str, said: dict[str, int], why: str
) -> None:
    writer = gguf.GGUFWriter(tmp_path / "bad.gguf", architecture)
    usual = {"block_count": 2, "context_length": 128, "embedding_length": 64, "attention.head_count": 4}
    for key, value in {**usual, **said}.items():
        writer.add_uint32(f"{architecture}.{key}", value)
    writer.add_tensor("token_embd.weight", np.zeros((8, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    engine = opened(open_engine, tmp_path, 8)
    rows = {row.name: row for row in await engine.listing()}
    assert rows["ember"].verdict == "fits" and why in rows["bad"].reason
    assert {fit.model for fit in await engine.fits()} >= {"ember"}
    if why:
        with pytest.raises(ModelLoadFailed, match="layers"):
            await engine.estimate("bad")
