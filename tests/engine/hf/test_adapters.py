"""Adapters change what they should, side by side and scaled, and leave the base as it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.errors import InsufficientMemory, InvalidRequest, ModelNotFound, Unsupported
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.folder.backend import FolderBackend
from engine.types import AdapterRef, Failed, GenerationRequest, LoadOptions
from tests.engine.hf.driving import generate, opened
from tests.engine.runtime.worker.desk import Desk
from tests.weights.hf_folders import write_hf, write_hf_adapter

TEXT = [*b"All happy families are alike; every unhappy family"]
COUNT = 10


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A model and two adapters of different ranks."""
    folder = tmp_path_factory.mktemp("hf")
    model = write_hf(folder / "llama", "llama")
    return (
        model,
        write_hf_adapter(folder / "one", model, seed=1),
        write_hf_adapter(folder / "two", model, seed=2, rank=8),
    )


@pytest.fixture(scope="module")
def backend(files: tuple[Path, Path, Path]) -> Iterator[FolderBackend]:
    made = opened(files[0])
    yield made
    made.close()


def with_mlx(model: Path) -> FolderBackend:
    from engine.runtime.backends.mlx.library import open_model

    spec = LoadSpec(model="m", path=str(model), options=LoadOptions(slots=3, context=256))
    return open_model(spec, lambda stage, fraction: True)


def with_peft(model: Path, *adapters: tuple[Path, float]) -> list[int]:
    """What a fresh load with PEFT's own class gives, its changes merged into the weights."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    made = AutoModelForCausalLM.from_pretrained(model, attn_implementation="eager").eval()
    for path, scale in adapters:
        adapted = PeftModel.from_pretrained(made, str(path))
        for module in adapted.modules():
            if isinstance(getattr(module, "scaling", None), dict) and "default" in module.scaling:
                module.scaling["default"] *= scale
        made = adapted.merge_and_unload()
    ids = torch.tensor([TEXT])
    found = made.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=COUNT, do_sample=False, eos_token_id=None
    )
    return found[0, len(TEXT) :].tolist()  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.long
def test_each_gives_what_a_fresh_load_with_it_gives(
    backend: FolderBackend, files: tuple[Path, Path, Path]
) -> None:
    model, one, two = files
    base = generate(backend, TEXT, COUNT)
    assert base == with_peft(model)
    seen = [base]
    for chosen in (((one, 1.0),), ((two, 1.0),), ((one, 0.4),), ((one, 1.0), (two, 0.5))):
        backend.set_adapters(tuple(AdapterRef(str(path), scale) for path, scale in chosen))
        found = generate(backend, TEXT, COUNT)
        assert found == with_peft(model, *chosen)
        assert found not in seen
        seen.append(found)
        backend.set_adapters(())
        assert generate(backend, TEXT, COUNT) == base


def test_one_that_does_not_fit_leaves_the_others_be(
    backend: FolderBackend, files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, one, _ = files
    backend.set_adapters((AdapterRef(str(one)),))
    adapted = generate(backend, TEXT, COUNT)
    wide = write_hf(tmp_path / "wide", "llama", hidden_size=96)
    with pytest.raises(InvalidRequest, match="does not fit"):
        backend.set_adapters((AdapterRef(str(write_hf_adapter(tmp_path / "other", wide))),))
    with pytest.raises(ModelNotFound):
        backend.set_adapters((AdapterRef(str(tmp_path / "nowhere")),))
    assert generate(backend, TEXT, COUNT) == adapted
    backend.set_adapters(())


@pytest.mark.parametrize("library", ["transformers", "mlx"])
def test_what_its_configuration_says_anew_is_another_adapter(
    files: tuple[Path, Path, Path], tmp_path: Path, library: str
) -> None:
    """With the same numbers: the scale of all of them is in the configuration."""
    model, one, _ = files
    if library == "mlx":
        pytest.importorskip("mlx_lm")
    adapter = AdapterRef(str(shutil.copytree(one, tmp_path / "one")))
    backend = opened(model) if library == "transformers" else with_mlx(model)
    backend.set_adapters((adapter,))
    before, known = generate(backend, TEXT, COUNT), backend.adapter_identity((adapter,))
    config = Path(adapter.name) / "adapter_config.json"
    said = json.loads(config.read_text())
    config.write_text(json.dumps({**said, "lora_alpha": said["lora_alpha"] / 3}))
    backend.set_adapters((adapter,))
    after = generate(backend, TEXT, COUNT)
    assert backend.adapter_identity((adapter,)) != known and after != before
    backend.set_adapters((AdapterRef(str(one), 1 / 3),))
    assert generate(backend, TEXT, COUNT) == after
    backend.close()


@pytest.mark.parametrize("library", ["transformers", "mlx"])
def test_times_that_were_set_back_hide_no_change(
    files: tuple[Path, Path, Path], tmp_path: Path, library: str
) -> None:
    """As copies do that keep times: neither time nor size of its files tells it from the one before."""
    model, one, _ = files
    if library == "mlx":
        pytest.importorskip("mlx_lm")
    adapter = AdapterRef(str(shutil.copytree(one, tmp_path / "one")))
    backend = opened(model) if library == "transformers" else with_mlx(model)
    backend.set_adapters((adapter,))
    before, known = generate(backend, TEXT, COUNT), backend.adapter_identity((adapter,))
    other = write_hf_adapter(tmp_path / "other", model, seed=9)
    for changed in (other / "adapter_model.safetensors", other / "adapter_config.json"):
        file = Path(adapter.name) / changed.name
        was = file.stat()
        assert changed.stat().st_size == was.st_size
        file.write_bytes(changed.read_bytes())
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    backend.set_adapters((adapter,))
    assert backend.adapter_identity((adapter,)) != known
    assert generate(backend, TEXT, COUNT) != before
    backend.close()


@pytest.mark.parametrize("library", ["transformers", "mlx"])
def test_its_files_are_left_alone_once_it_is_read(
    files: tuple[Path, Path, Path], tmp_path: Path, library: str
) -> None:
    """Who writes them anew in their place changes nothing that is under way, however far that has come."""
    model, one, _ = files
    if library == "mlx":
        pytest.importorskip("mlx_lm")
    adapter = AdapterRef(str(shutil.copytree(one, tmp_path / "one")))
    backend = opened(model) if library == "transformers" else with_mlx(model)
    backend.set_adapters((adapter,))
    expected = generate(backend, TEXT, COUNT)
    numbers = Path(adapter.name) / "adapter_model.safetensors"
    with numbers.open("r+b") as file:
        file.write(bytes(numbers.stat().st_size))
    assert generate(backend, TEXT, COUNT) == expected
    backend.close()


@pytest.mark.parametrize("library", ["transformers", "mlx"])
def test_its_files_are_not_read_again_for_each_turn(
    files: tuple[Path, Path, Path], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns of two adapters alternate every few steps, and each asks which the adapters are."""
    model, one, two = files
    if library == "mlx":
        pytest.importorskip("mlx_lm")
    backend = opened(model) if library == "transformers" else with_mlx(model)
    sets = [(AdapterRef(str(path)),) for path in (one, two)]
    known = [backend.adapter_identity(each) for each in sets]
    read: list[Path] = []
    read_bytes = Path.read_bytes

    def reading(path: Path) -> bytes:
        if path.suffix == ".safetensors":
            read.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    assert [backend.adapter_identity(each) for each in sets] == known and not read
    backend.close()


@pytest.mark.parametrize("library", ["transformers", "mlx"])
def test_one_that_is_written_anew_takes_the_memory_of_the_one_before(
    files: tuple[Path, Path, Path], tmp_path: Path, library: str
) -> None:
    model, one, two = files
    if library == "mlx":
        pytest.importorskip("mlx_lm")
    adapter = AdapterRef(str(shutil.copytree(one, tmp_path / "one")))
    backend = opened(model) if library == "transformers" else with_mlx(model)
    both = (AdapterRef(str(two)), adapter)
    backend.set_adapters(both)
    held, answer = factors(backend), generate(backend, TEXT, COUNT)
    for seed in (5, 6, 1):
        shutil.rmtree(adapter.name)
        shutil.copytree(write_hf_adapter(tmp_path / f"{seed}", model, seed=seed), adapter.name)
        backend.set_adapters(both)
        assert factors(backend) == held
        assert (generate(backend, TEXT, COUNT) == answer) == (seed == 1)
    backend.close()


def factors(backend: FolderBackend) -> int:
    """Numbers of the matrices of all adapters in memory."""
    library: Any = backend._library
    if hasattr(library, "_torch"):
        return sum(each.numel() for name, each in library._model.named_parameters() if "lora" in name)
    loaded = library.adapters._loaded.values()
    return sum(each.size for matrices in loaded for pair in matrices.values() for each in pair)


@pytest.mark.parametrize(
    "said",
    [
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "olora"},
        {"init_lora_weights": "loftq"},
        {"trainable_token_indices": [1, 2]},
        {"modules_to_save": ["lm_head"]},
        {"layer_replication": [[0, 2], [0, 2]]},
        {"bias": "all"},
        {"use_dora": True},
        {"peft_type": "IA3"},
    ],
    ids=str,
)
@pytest.mark.parametrize("library", ["transformers", "mlx"])
def test_one_that_would_change_the_base_is_refused_and_does_not(
    files: tuple[Path, Path, Path], tmp_path: Path, library: str, said: dict[str, Any]
) -> None:
    """For everybody, and for good: PEFT prepares the base as such a training began, whatever then comes of it."""
    model, one, _ = files
    if library == "mlx":
        pytest.importorskip("mlx_lm")
    adapter = AdapterRef(str(shutil.copytree(one, tmp_path / "one")))
    config = Path(adapter.name) / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **said}))
    backend = opened(model) if library == "transformers" else with_mlx(model)
    base = generate(backend, TEXT, COUNT)
    with pytest.raises(Unsupported, match="cannot be"):
        backend.set_adapters((adapter,))
    assert generate(backend, TEXT, COUNT) == base
    backend.close()


def test_one_that_has_no_room_is_not_said_to_be_for_another_model(
    backend: FolderBackend, files: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def load(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    adapter = AdapterRef(str(shutil.copytree(files[1], tmp_path / "one")))
    library: Any = backend._library
    with monkeypatch.context() as patch:
        patch.setattr(library._model, "load_adapter", load)
        with pytest.raises(InsufficientMemory, match="not enough memory for"):
            backend.set_adapters((adapter,))
    backend.set_adapters((adapter,))
    backend.set_adapters(())


def test_one_that_is_written_while_it_is_read_is_not_taken_for_the_one_before(
    backend: FolderBackend, files: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, one, two = files
    path = shutil.copytree(one, tmp_path / "one")
    set_adapters, written = backend.set_adapters, False

    def setting(adapters: tuple[AdapterRef, ...]) -> None:
        nonlocal written
        set_adapters(adapters)
        if adapters and not written:
            written = True
            shutil.copytree(two, path, dirs_exist_ok=True)

    def asked(adapter: Path) -> GenerationRequest:
        said = bytes(TEXT).decode()
        adapters = (AdapterRef(str(adapter)),)
        return GenerationRequest(
            model="m", prompt=said, raw=True, max_tokens=8, sampling={"temperature": 0.0}, adapters=adapters
        )

    backend.rebuild()
    expected = Desk(backend).answer(asked(two)).text
    backend.rebuild()
    desk = Desk(backend)
    monkeypatch.setattr(backend, "set_adapters", setting)
    first = desk.submit(asked(path))
    desk.run()
    assert written and isinstance(first.stream.drain()[-1], Failed)
    assert desk.answer(asked(path)).text == expected
    backend.rebuild()


def test_expressions_of_its_configuration_are_not_matched(
    backend: FolderBackend, files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """Its tensors say what it changes; an expression may say the same, or be such that matching it never ends."""
    one = files[1]
    backend.set_adapters((AdapterRef(str(one)),))
    expected = generate(backend, TEXT, COUNT)
    endless = "(([a-z._0-9])+)+X"
    said: tuple[dict[str, Any], ...] = (
        {"target_modules": r".*\.self_attn\.(q|v)_proj"},
        {"target_modules": endless},
        {"exclude_modules": endless},
        {"rank_pattern": {endless: 64}},
        {"layers_to_transform": [0, 1, 2, 3], "layers_pattern": endless},
        {"target_modules": endless, "r": 1, "lora_alpha": 2, "use_rslora": True},
    )
    for number, each in enumerate(said):
        adapter = AdapterRef(str(shutil.copytree(one, tmp_path / str(number))))
        config = Path(adapter.name) / "adapter_config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), **each}))
        backend.set_adapters((adapter,))
        # Of rank 4: 2 / sqrt(4), as 4 / 4.
        assert generate(backend, TEXT, COUNT) == expected, each
    backend.set_adapters(())


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_embeddings_that_an_expression_names_are_changed_too(
    backend: FolderBackend, files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    model, one, _ = files
    path = shutil.copytree(one, tmp_path / "one")
    tensors = load_file(path / "adapter_model.safetensors")
    random = np.random.default_rng(3)
    said = json.loads((model / "config.json").read_text())
    for side, shape in (("A", (4, said["vocab_size"])), ("B", (said["hidden_size"], 4))):
        name = f"base_model.model.model.embed_tokens.lora_embedding_{side}"
        tensors[name] = random.normal(0, 0.5, shape).astype(np.float32)
    save_file(tensors, path / "adapter_model.safetensors")
    config = path / "adapter_config.json"
    changed = {"target_modules": r".*(q_proj|v_proj|embed_tokens)"}
    config.write_text(json.dumps({**json.loads(config.read_text()), **changed}))
    backend.set_adapters((AdapterRef(str(path)),))
    found = generate(backend, TEXT, COUNT)
    backend.set_adapters((AdapterRef(str(one)),))
    assert found == with_peft(model, (path, 1.0)) != generate(backend, TEXT, COUNT)
    backend.set_adapters(())


def test_its_content_and_scale_are_its_identity(
    backend: FolderBackend, files: tuple[Path, Path, Path]
) -> None:
    _, one, two = (str(path) for path in files)
    said = {
        backend.adapter_identity(refs)
        for refs in ((), (AdapterRef(one),), (AdapterRef(two),), (AdapterRef(one, 0.5),))
    }
    assert len(said) == 4 and "" in said
