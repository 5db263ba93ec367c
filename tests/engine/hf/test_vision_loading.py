"""How models that see are loaded: what their configuration leaves out, types of number, fewer bits, adapters."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from engine.errors import Unsupported
from engine.library.folder_fit import MLX_BUFFERS, kv_bytes, needs
from engine.library.folder_lora import folder_base, misfit
from engine.library.lora_folder import read_lora
from engine.library.model_folder import read_folder
from engine.library.shape import context_shape
from engine.runtime.backends.folder.backend import FolderBackend
from engine.runtime.worker import album as albums
from engine.runtime.worker.album import Album
from engine.runtime.worker.intake import Intake
from engine.types import AdapterRef, Device, GenerationRequest, ImagePart, LoadOptions, Message, TextPart
from tests.engine.hf.driving import go_on, insert, opened
from tests.weights.hf_vision import write_hf_vision

COUNT = 6


def answer(backend: FolderBackend, colour: str = "red") -> list[int]:
    """Greedy tokens about a picture."""
    file = io.BytesIO()
    image = Image.new("RGB", (70, 40), colour)
    image.paste("white", (5, 5, 30, 20))
    image.save(file, "PNG")
    content = (ImagePart(data=file.getvalue()), TextPart("What is it?"))
    request = GenerationRequest(
        model="x", messages=(Message(role="user", content=content),), max_tokens=COUNT
    )
    prepared = Intake(backend, 16).prepare(request)
    insert(backend, list(prepared.tokens), spans=prepared.spans)
    return go_on(backend, 0, len(prepared.tokens), COUNT)


def rewritten(folder: Path, change: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def test_what_a_configuration_leaves_out_is_found(tmp_path: Path) -> None:
    # As many layers and words as transformers takes for granted.
    said = write_hf_vision(tmp_path / "said", "llava_next", num_hidden_layers=32, vocab_size=32000)
    silent = shutil.copytree(said, tmp_path / "silent")

    def forget(config: dict[str, Any]) -> None:
        for name in ("num_hidden_layers", "vocab_size"):
            del config["text_config"][name]

    rewritten(silent, forget)
    whole, short = read_folder(said), read_folder(silent)
    for name in ("num_hidden_layers", "vocab_size", "hidden_size"):
        assert short.number(name) == whole.number(name) > 0
    assert kv_bytes(short, 2) == kv_bytes(whole, 2) == 2 * 32 * 2 * 16 * 2
    backend = opened(silent)
    assert backend.media is not None and backend.facts.vocabulary == 32000
    assert answer(backend) != answer(backend, "blue")
    backend.close()


def test_a_folder_as_it_was_first_published_is_read(tmp_path: Path) -> None:
    new, old = (write_hf_vision(tmp_path / name, "qwen2_vl") for name in ("new", "old"))

    def flatten(config: dict[str, Any]) -> None:
        text = config.pop("text_config")
        rope = text.pop("rope_parameters")
        text.pop("model_type")
        config.update(text, rope_theta=rope["rope_theta"])
        config["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}

    rewritten(old, flatten)
    weights = load_file(old / "model.safetensors")
    names = (("model.language_model.", "model."), ("model.visual.", "visual."))
    renamed = {
        next(
            (later.join(("", name[len(first) :])) for first, later in names if name.startswith(first)), name
        ): each
        for name, each in weights.items()
    }
    assert "visual.patch_embed.proj.weight" in renamed and "model.norm.weight" in renamed
    save_file(renamed, old / "model.safetensors", {"format": "pt"})
    assert kv_bytes(read_folder(old), 4) == kv_bytes(read_folder(new), 4) > 0
    one, other = opened(new), opened(old)
    assert answer(other) == answer(one)
    one.close()
    other.close()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["qwen3_vl", "llava_next", "gemma3"])
@pytest.mark.parametrize(
    "options", [{"load_in_8bit": True}, {"load_in_4bit": True}, {"dtype": "bf16"}, {"dtype": "f16"}], ids=str
)
def test_weights_are_held_as_asked(tmp_path: Path, family: str, options: dict[str, Any]) -> None:
    backend = opened(write_hf_vision(tmp_path / family, family), **options)
    assert backend.media is not None
    assert answer(backend) != answer(backend, "blue")
    asked = LoadOptions(**options)
    shape = context_shape(LoadOptions(context=256, slots=3), 2048)
    (need,) = needs(read_folder(tmp_path / family), shape, (Device(name="CPU"),), asked)
    assert backend.memory().weights == pytest.approx(need.weights, rel=0.05)
    backend.close()


def test_pictures_that_are_only_counted_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = opened(write_hf_vision(tmp_path / "qwen2_vl", "qwen2_vl"))
    assert backend.media is not None
    album = Album(backend.media)
    most = 1 << 20
    monkeypatch.setattr(albums, "MOST_BYTES", most)
    for shade in range(40):
        file = io.BytesIO()
        Image.new("RGB", (128, 96), (shade, 0, 0)).save(file, "PNG")
        key, laid = album.laid(file.getvalue(), 1440, alone=True)
        assert 10_000 < laid.size <= album.size <= most
    encoded = album.encoded(key, laid)
    # The pixels are not wanted any more.
    assert encoded.size == encoded.picture_tokens * 64 * 4 and laid.size == 0
    backend.close()


def test_memory_counts_the_tower_and_a_picture(tmp_path: Path) -> None:
    folder = read_folder(write_hf_vision(tmp_path / "qwen2_vl", "qwen2_vl"))
    (need,) = needs(
        folder, context_shape(LoadOptions(context=512, slots=2), 2048), (Device(name="CPU"),), LoadOptions()
    )
    assert need.weights == folder.weight_bytes
    # Two rows for each of two heads of sixteen numbers, three layers.
    assert need.kv_cache == 2 * 2 * 16 * 3 * 4 * 1024
    (blind,) = needs(
        folder,
        context_shape(LoadOptions(context=512, slots=2), 2048),
        (Device(name="CPU"),),
        LoadOptions(),
        backend="mlx",
    )
    # A picture of 1440 x 1440 in patches of 8 x 8.
    assert need.compute - blind.compute // MLX_BUFFERS == 4 * 180**2 * (9 * 32 + 3 * 4 * 32) + 24 * 1440**2


@pytest.mark.parametrize("base", ["model.language_model", "language_model.model"])
def test_an_adapter_of_the_language_part(tmp_path: Path, base: str) -> None:
    """By the names of modules that transformers has now, and by those it had when most were trained."""
    folder = write_hf_vision(tmp_path / "llava_next", "llava_next")
    rng = np.random.default_rng(1)
    tensors = {
        f"base_model.model.{base}.layers.{layer}.self_attn.{module}.lora_{half}.weight": rng.normal(
            0, 0.5, shape
        ).astype(np.float32)
        for layer in range(3)
        for module, rows in (("q_proj", 64), ("v_proj", 32))
        for half, shape in (("A", (4, 64)), ("B", (rows, 4)))
    }
    path = tmp_path / "adapter"
    path.mkdir()
    save_file(tensors, path / "adapter_model.safetensors")
    said = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 4, "bias": "none"}
    targets = {
        "target_modules": r".*language_model.*\.(q_proj|v_proj)",
        "base_model_name_or_path": str(folder),
    }
    (path / "adapter_config.json").write_text(json.dumps(said | targets))
    backend = opened(folder)
    before = answer(backend)
    backend.set_adapters((AdapterRef(name=str(path)),))
    merged = opened(_merged(folder, tensors, base, tmp_path / "merged"))
    assert answer(backend) == answer(merged) != before
    backend.set_adapters(())
    assert answer(backend) == before
    backend.close()
    merged.close()


def test_an_adapter_of_the_eyes_is_refused(tmp_path: Path) -> None:
    """What a picture comes to is kept, and would be that of whoever looked at it first."""
    folder = read_folder(write_hf_vision(tmp_path / "llava_next", "llava_next"))
    base = folder_base("m", folder)
    module = next(name for name in sorted(base.eyes) if name.endswith("q_proj"))
    assert "vision" in module and not any("language_model" in name for name in base.eyes)
    matrix = base.matrices[module]
    for name in (module, module.replace("q_proj", "none")):
        path = tmp_path / name
        path.mkdir()
        save_file(
            {
                f"base_model.model.{name}.lora_A.weight": np.ones((4, matrix.inputs), np.float32),
                f"base_model.model.{name}.lora_B.weight": np.ones((matrix.outputs, 4), np.float32),
            },
            path / "adapter_model.safetensors",
        )
        (path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 4}))
        error = misfit(read_lora(path), base, "a")
        assert isinstance(error, Unsupported) == (name == module)
        assert error is not None and error.info.fix


def _merged(folder: Path, tensors: dict[str, Any], base: str, target: Path) -> Path:
    """The folder with the adapter added to its weights."""
    shutil.copytree(folder, target)
    weights = load_file(folder / "model.safetensors")
    changed = 0
    for name, down in tensors.items():
        if "lora_A" in name:
            module = name.removeprefix(f"base_model.model.{base}.").removesuffix(".lora_A.weight")
            places = tuple(f"{each}.{module}.weight" for each in ("language_model", "language_model.model"))
            key = next(each for each in weights if each.endswith(places))
            weights[key] = weights[key] + tensors[name.replace("lora_A", "lora_B")] @ down
            changed += 1
    assert changed == 6
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    return target
