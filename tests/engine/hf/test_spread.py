"""A model whose layers lie partly on the disk answers as one that is whole: the way of all that is not on one device.

Several GPUs and main memory beside one go the same way; what of that needs no GPU is tested here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from engine.errors import Unsupported
from engine.library.devices import DISK
from engine.library.folder_fit import needs
from engine.library.folder_split import Placement
from engine.library.model_folder import read_folder
from engine.library.shape import context_shape
from engine.runtime.backends.base import Outcome, Row
from engine.runtime.backends.folder.backend import FolderBackend
from engine.runtime.backends.hf.spread import computed, computing, device_map, said_of
from engine.types import AdapterRef, Device, LoadOptions
from starter import adapter_path, hf_path, vision_paths
from tests.engine.hf.driving import generate, go_on, insert, opened, prefill
from tests.weights.hf_folders import write_hf

HALF = {"device": "cpu,disk", "split": "1,1"}
QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
GPUS = tuple(Device(name=f"CUDA{number}", description="NVIDIA L4", kind="gpu") for number in range(2))
SERVER = (*GPUS, Device(name="CPU"))


@pytest.fixture(scope="module")
def whole() -> Iterator[FolderBackend]:
    backend = opened(hf_path())
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def spread() -> Iterator[FolderBackend]:
    backend = opened(hf_path(), **HALF)
    yield backend
    backend.close()


def question(backend: FolderBackend) -> list[int]:
    return backend.tokenize(QUESTION, add_special=False, parse_special=True)


def test_it_says_where_it_is_and_holds_what_was_estimated(
    whole: FolderBackend, spread: FolderBackend
) -> None:
    assert spread.facts.device == "CPU: 2 layers; disk: 2 layers, copied to be computed"
    folder = read_folder(hf_path())
    shape = context_shape(LoadOptions(context=256, slots=3), folder.context)
    (need,) = needs(folder, shape, (Device(name="CPU"),), LoadOptions(**HALF))
    assert spread.memory().weights == need.weights < whole.memory().weights


def test_texts_shared_saved_and_in_chunks_are_those_of_the_whole(
    whole: FolderBackend, spread: FolderBackend
) -> None:
    prompt = question(whole)
    expected = generate(whole, prompt, 10)
    assert generate(spread, prompt, 10, chunk=5) == expected
    insert(spread, prompt)
    first = prefill(spread, 0, len(prompt))
    shelf = spread.facts.capabilities.max_slots
    spread.share(0, shelf, 0, len(prompt))
    state = bytes(spread.save(shelf, len(prompt)))
    spread.cut(shelf, 0)
    spread.remove(0)
    spread.restore(shelf, state, len(prompt))
    insert(spread, [*prompt, first], slot=1)
    spread.share(shelf, 1, 0, len(prompt))
    assert [first, *go_on(spread, 1, 1, 9)] == expected
    spread.cut(shelf, 0)


def test_sequences_side_by_side(whole: FolderBackend, spread: FolderBackend) -> None:
    prompts = [question(whole), question(whole)[:9]]
    expected = [generate(whole, prompt, 3) for prompt in prompts]
    found: list[list[int]] = [[], []]
    for slot, prompt in enumerate(prompts):
        insert(spread, prompt, slot=slot)
    left = [len(prompt) for prompt in prompts]
    while len(found[0]) < 3:
        for each in spread.step([Row(slot, left[slot]) for slot in (0, 1)]).sampled:
            found[each.slot].append(each.token)
        left = [1, 1]
    for slot in (0, 1):
        spread.remove(slot)
    assert found == expected


def test_a_step_that_is_broken_off_leaves_nothing_of_the_disk_in_memory(
    whole: FolderBackend, spread: FolderBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = question(whole)
    write = spread._holders.write

    def interrupting(*arguments: Any) -> Any:
        if arguments[1] == 2:
            spread.interrupt()
        return write(*arguments)

    insert(spread, prompt)
    with monkeypatch.context() as patch:
        patch.setattr(spread._holders, "write", interrupting)
        assert spread.step([Row(0, len(prompt))]).outcome is Outcome.INTERRUPTED
    last = spread._library._model.model.layers[3]
    assert all(each.is_meta for name, each in last.named_parameters() if "lora" not in name)
    assert go_on(spread, 0, len(prompt), 6) == generate(whole, prompt, 6)


def test_an_adapter_changes_layers_wherever_they_lie(whole: FolderBackend, spread: FolderBackend) -> None:
    prompt, pirate = question(whole), AdapterRef(str(adapter_path("pirate").with_suffix("")))
    plain = generate(whole, prompt, 10)
    for backend in (whole, spread):
        backend.set_adapters((pirate,))
    adapted = generate(spread, prompt, 10)
    assert adapted == generate(whole, prompt, 10) != plain
    for backend in (whole, spread):
        backend.set_adapters(())
    assert generate(spread, prompt, 10) == plain


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "gpt_oss"])
def test_other_families(family: str, tmp_path: Path) -> None:
    path = write_hf(tmp_path / family, family)
    prompt = [5, 9, 2, 7, 11, 3]
    answers = []
    for said in ({}, HALF):
        backend = opened(path, **said)
        answers.append(generate(backend, prompt, 6))
        backend.close()
    assert answers[0] == answers[1]


def test_layers_that_the_files_have_in_another_form_cannot_be_run_from_them(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="from the disk") as raised:
        opened(write_hf(tmp_path / "experts", "qwen3_moe"), **HALF)
    assert raised.value.param == "device"


def test_a_model_that_sees_sees_on() -> None:
    """What it sees is held against transformers' own when it is loaded, spread as it is."""
    backend = opened(vision_paths()[2], **HALF)
    assert "disk" in backend.facts.device and "image" in backend.facts.capabilities.modalities
    backend.close()


def test_a_model_that_sees_is_spread_by_its_language_part() -> None:
    folder = read_folder(vision_paths()[2])
    layers = folder.number("num_hidden_layers")
    plan = Placement("CUDA0", ("CUDA0",) + ("CUDA1",) * (layers - 1))
    places = device_map(AutoModelForImageTextToText, folder, plan, SERVER)
    assert places["model.vision_tower"] == places["lm_head"] == places["model.language_model.layers.0"] == 0
    assert {places[f"model.language_model.layers.{number}"] for number in range(1, layers)} == {1}


def test_what_accelerate_is_told_for_gpus_and_what_is_added_later() -> None:
    plan = Placement("CUDA0", ("CUDA0", "CUDA1", "CPU", DISK.name))
    places = device_map(AutoModelForCausalLM, read_folder(hf_path()), plan, SERVER)
    assert [places[f"model.layers.{number}"] for number in range(4)] == [0, 1, "cpu", "disk"]
    assert {places[name] for name in ("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head")} == {
        0
    }
    assert len(places) == 8
    later = computed(places)
    assert [later[f"model.layers.{number}"] for number in range(4)] == [0, 1, 0, 0]
    assert [str(each) for each in computing(plan, SERVER)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:0"]
    assert all(isinstance(each, torch.device) for each in computing(plan, SERVER))
    assert said_of(plan, SERVER) == (
        "CUDA0 (NVIDIA L4): 1 layer; CUDA1 (NVIDIA L4): 1 layer; CPU: 1 layer, copied to be computed; "
        "disk: 1 layer, copied to be computed"
    )
