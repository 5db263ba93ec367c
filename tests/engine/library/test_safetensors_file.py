"""Safetensors files: read number for number, and refused with the reason where they are not sound."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import HearthError, ModelLoadFailed, Unsupported
from engine.library.safetensors_file import open_tensors
from tests.weights.peft_folders import write_safetensors


def save(path: Path, **tensors: tuple[str, list[int], bytes]) -> Path:
    return write_safetensors(path, tensors)


def raw(path: Path, header: Any, data: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_numbers_come_out_as_they_went_in(tmp_path: Path) -> None:
    single = np.array([[1.5, -2.25, 3e-20], [np.pi, 0, -0.0]], np.float32)
    half = np.array([0.1, 65504, -6e-8], np.float16)
    path = save(
        tmp_path / "a.safetensors",
        single=("F32", [2, 3], single.tobytes()),
        half=("F16", [3], half.tobytes()),
        brain=("BF16", [2, 3], (single.view(np.uint32) >> 16).astype(np.uint16).tobytes()),
        none=("F32", [0, 4], b""),
    )
    found = open_tensors(path)
    assert np.array_equal(found.read("single"), single)
    assert np.array_equal(found.read("half"), half)
    assert (found.read("half").dtype, found.read("brain").dtype) == (np.float16, np.float32)
    assert np.array_equal(found.read("brain"), (single.view(np.uint32) & 0xFFFF0000).view(np.float32))
    assert found.read("none").shape == (0, 4)


def test_bfloat16_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    values = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    data = values.view(torch.uint16).numpy().tobytes()
    found = open_tensors(save(tmp_path / "a.safetensors", x=("BF16", [7, 5], data))).read("x")
    assert np.array_equal(found, values.float().numpy())


@pytest.mark.parametrize(("kind", "width"), [("F8_E4M3", 1), ("I32", 4), ("BOOL", 1), ("F64", 8)])
def test_another_type_is_refused_with_its_tensor(tmp_path: Path, kind: str, width: int) -> None:
    path = save(tmp_path / "a.safetensors", strange=(kind, [2], bytes(2 * width)))
    with pytest.raises(Unsupported, match="strange is of the type"):
        open_tensors(path)


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}},
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}},
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}},
        {"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}},
        {"x": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 8]}},
        {"x": 1},
        [],
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, header: Any) -> None:
    with pytest.raises(ModelLoadFailed):
        open_tensors(raw(tmp_path / "a.safetensors", header, bytes(8)))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("raw-empty.bin", "header too small"),
        ("safetensors-gap.bin", "invalid offset"),
        ("safetensors-unknown-dtype.bin", "F128"),
        ("git-lfs-pointer-not-weights.bin", "Git LFS pointer"),
        ("gguf-unknown-type.bin", "header too large"),
        ("weight-inspect-tiny.safetensors", "not fully covered"),
    ],
)
def test_malformed_files_say_what_is_wrong(shared_data: Path, name: str, why: str) -> None:
    with pytest.raises(ModelLoadFailed, match=why) as caught:
        open_tensors(shared_data / "malformed" / name)
    assert caught.value.fix


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", tmp_path / "pipe"):
        if path.name == "pipe":
            os.mkfifo(path)
        with pytest.raises(ModelLoadFailed):
            open_tensors(path)


def test_a_file_that_was_cut_short_since_is_an_error_and_no_signal(tmp_path: Path) -> None:
    path = save(tmp_path / "a.safetensors", x=("F32", [1000], bytes(4000)))
    opened = open_tensors(path)
    with path.open("r+b") as file:
        file.truncate(2000)
    with pytest.raises(ModelLoadFailed, match="shorter"):
        opened.read("x")


@given(data=st.binary(max_size=200), place=st.integers(0, 200), flipped=st.integers(1, 255))
def test_no_bytes_do_more_than_raise(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, place: int, flipped: int
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    path = folder / "noise.safetensors"
    path.write_bytes(data)
    sound = bytearray(save(folder / "sound.safetensors", x=("F32", [2, 3], bytes(24))).read_bytes())
    sound[place % len(sound)] ^= flipped
    (folder / "flipped.safetensors").write_bytes(sound)
    for each in (path, folder / "flipped.safetensors"):
        try:
            found = open_tensors(each)
            for name in found.slabs:
                found.read(name)
        except HearthError:
            pass
