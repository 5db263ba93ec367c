"""Model folders are known by their headers; what is broken, or asks to run code, is refused by file and key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import HearthError, ModelLoadFailed
from engine.library.folder_fit import kv_bytes, needs
from engine.library.model_folder import fingerprint, is_model_folder, read_folder, stamped_files
from engine.library.shape import context_shape
from engine.types import Device, LoadOptions
from starter import hf_path
from tests.tiers import examples

EMBER = hf_path()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EMBER, tmp_path / "ember")
    return tmp_path / "ember"


def change(folder: Path, name: str, **said: Any) -> None:
    path = folder / name
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | said))


def test_a_sound_folder_says_what_it_holds() -> None:
    assert is_model_folder(EMBER)
    found = read_folder(EMBER)
    assert (found.architecture, found.quantisation, found.context) == ("llama", "F16", 2048)
    assert found.parameters == sum(weight.numbers for weight in found.weights) > 3_000_000
    assert found.weight_bytes == 2 * found.parameters
    assert {path.name for path in stamped_files(EMBER)} >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }


@pytest.mark.parametrize(
    ("file", "said", "key"),
    [
        ("config.json", {"auto_map": {"AutoModel": "modeling.Evil"}}, "auto_map"),
        ("config.json", {"model_file": "evil.py"}, "model_file"),
        ("config.json", {"vision_config": {"trust_remote_code": True}}, "trust_remote_code"),
        ("config.json", {"_attn_implementation_internal": "evil/kernel"}, "_attn_implementation_internal"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}, "auto_map"),
        ("generation_config.json", {"custom_generate": "evil/loop"}, "custom_generate"),
        ("processor_config.json", {"list": [{"custom_pipelines": {"a": 1}}]}, "custom_pipelines"),
    ],
)
def test_code_from_the_folder_is_refused_by_its_key(
    folder: Path, file: str, said: dict[str, Any], key: str
) -> None:
    change(folder, file, **said)
    with pytest.raises(ModelLoadFailed, match="code of its own") as caught:
        read_folder(folder)
    assert f"`{key}`" in caught.value.why and file in caught.value.why


def test_pickled_weights_are_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert not is_model_folder(folder)
    with pytest.raises(ModelLoadFailed, match="no safe weights") as caught:
        read_folder(folder)
    assert "pytorch_model.bin" in caught.value.why


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b'{"model_type": 3}', b"\xff\xfe", b"[" * 5000])
def test_a_config_that_makes_no_sense_is_named(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelLoadFailed, match="ember cannot be loaded"):
        read_folder(folder)


def test_malformed_weights_are_refused_with_their_reason(folder: Path, shared_data: Path) -> None:
    files = [*(shared_data / "malformed").glob("safetensors-*"), shared_data / "malformed" / "raw-empty.bin"]
    assert len(files) > 3
    for file in files:
        shutil.copy(file, folder / "model.safetensors")
        (folder / "model.safetensors").chmod(0o644)
        with pytest.raises(ModelLoadFailed) as caught:
            read_folder(folder)
        assert "model.safetensors" in caught.value.why, file.name
    shutil.copy(shared_data / "malformed" / "git-lfs-pointer-not-weights.bin", folder / "model.safetensors")
    with pytest.raises(ModelLoadFailed, match="git lfs pull"):
        read_folder(folder)


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_header_is_an_error_in_words(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "damaged"
    if not folder.exists():
        shutil.copytree(EMBER, folder)
    whole = (EMBER / "model.safetensors").read_bytes()
    length = 8 + int.from_bytes(whole[:8], "little")
    spoilt = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=4)):
        spoilt[place] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(whole) - 1)))
    (folder / "model.safetensors").write_bytes(spoilt[:cut])
    try:
        read_folder(folder)
    except HearthError as error:
        assert error.what and error.why


def test_other_content_is_another_fingerprint(folder: Path) -> None:
    before = fingerprint(read_folder(folder))
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[8 + int.from_bytes(data[:8], "little") + 10] ^= 1
    path.write_bytes(data)
    changed = fingerprint(read_folder(folder))
    change(folder, "config.json", rope_theta=20000.0)
    assert len({before, changed, fingerprint(read_folder(folder))}) == 3


def test_memory_is_counted_in_the_type_that_it_is_held_in() -> None:
    found = read_folder(EMBER)
    shape = context_shape(LoadOptions(context=512, slots=2), found.context)
    gpu = Device(name="CUDA0", kind="gpu", free=8 << 30, total=8 << 30)
    cpu = Device(name="CPU")
    (on_cpu,) = needs(found, shape, (cpu,), LoadOptions())
    (on_gpu,) = needs(found, shape, (cpu, gpu), LoadOptions())
    assert on_cpu.weights == 4 * found.parameters and on_gpu.weights == 2 * found.parameters
    assert (
        on_gpu.device == "CUDA0" and on_gpu.kv_cache == kv_bytes(found, 2) * 1024 == 4 * 2 * 2 * 64 * 2 * 1024
    )
    (kept,) = needs(found, shape, (cpu, gpu), LoadOptions(gpu_layers=0))
    assert kept.device == "CPU"
    (small,) = needs(found, shape, (gpu,), LoadOptions(load_in_4bit=True))
    assert small.weights < on_gpu.weights / 1.5


@pytest.mark.parametrize("said", [{"num_hidden_layers": 2**39}, {"num_hidden_layers": None, "n_layer": 5000}])
def test_more_layers_than_there_can_be_are_refused(folder: Path, said: dict[str, Any]) -> None:
    change(folder, "config.json", **said)
    with pytest.raises(ModelLoadFailed, match=r"claims [\d,]+ layers"):
        read_folder(folder)
