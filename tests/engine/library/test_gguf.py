"""GGUF headers are read as their writer wrote them; nothing malformed gets past, and nothing hangs."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ModelLoadFailed
from engine.library import read_header
from engine.library.ggml import BLOCKS, FILE_TYPES
from engine.library.gguf import KEPT_ARRAY, SkippedArray
from tests.tiers import examples
from tests.weights import tiny_adapter, tiny_llama

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("gguf"), chat_template=TEMPLATE)


def as_another_reader_sees_it(path: Path) -> dict[str, tuple[list[int], int, int]]:
    reader = gguf.GGUFReader(path)
    return {t.name: ([int(n) for n in t.shape], int(t.data_offset), int(t.n_bytes)) for t in reader.tensors}


def test_a_header_says_what_the_writer_wrote(sound: Path) -> None:
    header = read_header(sound)
    assert header.architecture == "llama"
    assert header.kind == "model"
    assert header.chat_template == TEMPLATE
    assert header.vocabulary == 258
    assert header.context > 0 and header.quantisation == "F32"
    assert header.tensor_bytes == header.parameters * 4
    ours = {t.name: (list(t.shape), t.offset, t.size) for t in header.tensors}
    assert ours == as_another_reader_sees_it(sound)


def test_real_models_agree_with_another_reader(shared_data: Path) -> None:
    for path in sorted((shared_data / "models").glob("*.gguf")):
        header = read_header(path)
        assert header.parameters == 260_032 and header.vocabulary == 512
        assert header.quantisation == path.stem.rpartition("-")[2]
        ours = {t.name: (list(t.shape), t.offset, t.size) for t in header.tensors}
        assert ours == as_another_reader_sees_it(path)


def test_an_adapter_is_told_from_a_model(tmp_path: Path) -> None:
    assert read_header(tiny_adapter(tmp_path)).kind == "adapter"


def test_block_sizes_are_those_of_ggml() -> None:
    known = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert {number: (block, width) for number, (_, block, width) in BLOCKS.items()}.items() <= known.items()
    assert [kind.name for kind in map(gguf.GGMLQuantizationType, BLOCKS)] == [
        name for name, _, _ in BLOCKS.values()
    ]
    names = {int(kind): kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in gguf.LlamaFileType}
    assert all(names[number].startswith(name) for number, name in FILE_TYPES.items())


values = st.one_of(
    st.booleans(), st.integers(0, 2**32 - 1), st.floats(-1e9, 1e9, width=32), st.text(max_size=50)
)
arrays = st.one_of(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20),
    st.lists(st.text("aß€", max_size=5), min_size=1, max_size=20),
    st.integers(KEPT_ARRAY + 1, 3000).map(lambda count: ["é" * (n % 9) for n in range(count)]),
    st.integers(KEPT_ARRAY + 1, 3000).map(lambda count: list(range(count))),
)
keys = st.text("abc.", min_size=1, max_size=12).map(lambda key: f"x.{key}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(keys, values, max_size=6), st.dictionaries(keys.map("y{}".format), arrays, max_size=4))
def test_metadata_comes_back(
    tmp_path: Path, single: dict[str, object], several: dict[str, list[object]]
) -> None:
    path = tmp_path / "some.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in single.items():
        kind = {
            bool: writer.add_bool,
            int: writer.add_uint32,
            float: writer.add_float32,
            str: writer.add_string,
        }
        kind[type(value)](key, value)  # type: ignore[operator, arg-type]
    for key, items in several.items():
        writer.add_array(key, items)
    writer.add_tensor("weight", np.ones((3, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_header(path).metadata
    for key, value in single.items():
        # The writer leaves empty texts out.
        assert found.get(key, "") == value
    for key, items in several.items():
        expected = tuple(items) if len(items) <= KEPT_ARRAY else SkippedArray(len(items))
        assert found[key] == expected


def test_every_malformed_file_is_refused_with_a_reason(shared_data: Path) -> None:
    for path in sorted((shared_data / "malformed").iterdir()):
        if path.name == "weight-inspect-empty.gguf":
            assert read_header(path).tensors == ()
            continue
        with pytest.raises(ModelLoadFailed) as caught:
            read_header(path)
        assert path.name in caught.value.what and caught.value.why and caught.value.fix


def test_a_pointer_says_how_to_get_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 154389504\n")
    with pytest.raises(ModelLoadFailed) as caught:
        read_header(path)
    assert "Git LFS pointer" in caught.value.why and "git lfs pull" in caught.value.fix


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelLoadFailed) as caught:
        read_header(path)
    return caught.value.why


def test_absurd_claims_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    start = b"GGUF" + struct.pack("<I", 3)
    key = struct.pack("<Q", 1) + b"k"
    assert "claims" in refused(path, start + struct.pack("<QQ", 2**60, 1))
    assert "claims" in refused(path, start + struct.pack("<QQ", 1, 2**60))
    assert "bytes long" in refused(path, start + struct.pack("<QQ", 0, 1) + struct.pack("<Q", 2**40))
    text = start + struct.pack("<QQ", 0, 1) + key + struct.pack("<IQ", 8, 2**40)
    assert "bytes long" in refused(path, text)
    array = start + struct.pack("<QQ", 0, 1) + key + struct.pack("<IIQ", 9, 8, 2**40)
    assert "does not fit" in refused(path, array)
    nested = start + struct.pack("<QQ", 0, 1) + key + struct.pack("<IIQ", 9, 9, 2)
    assert "unknown type 9" in refused(path, nested)
    tensor = start + struct.pack("<QQ", 1, 0) + struct.pack("<Q", 1) + b"t"
    assert "dimensions" in refused(path, tensor + struct.pack("<I", 2**31))
    huge = tensor + struct.pack("<IQQIQ", 2, 2**62, 2**62, 0, 0)
    assert "impossible shape" in refused(path, huge)
    beyond = tensor + struct.pack("<IQIQ", 1, 1024, 0, 0) + b"\0" * 64
    assert "ends at byte" in refused(path, beyond)
    assert "big-endian" in refused(path, b"GGUF" + struct.pack(">I", 3) + b"\0" * 64)
    assert "web page" in refused(path, b"<!DOCTYPE html><html>")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    for name in ("pipe.gguf", "absent.gguf", "."):
        with pytest.raises(ModelLoadFailed):
            read_header(tmp_path / name)


def survives(path: Path) -> None:
    """Either a header whose tensors lie inside the file, or the one error."""
    try:
        header = read_header(path)
    except ModelLoadFailed as error:
        assert error.why and error.fix
        return
    assert all(tensor.offset + tensor.size <= path.stat().st_size for tensor in header.tensors)


def test_every_truncation_of_the_header_is_refused(sound: Path, tmp_path: Path) -> None:
    content = sound.read_bytes()
    end = min(tensor.offset for tensor in read_header(sound).tensors)
    for length in [*range(200), *range(200, end, 37), end, len(content) - 1]:
        refused(tmp_path / "cut.gguf", content[:length])


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 7)), min_size=1, max_size=3))
def test_flipped_bits_never_surprise(sound: Path, tmp_path: Path, flips: list[tuple[int, int]]) -> None:
    content = bytearray(sound.read_bytes())
    for place, bit in flips:
        content[place % len(content)] ^= 1 << bit
    (tmp_path / "flipped.gguf").write_bytes(content)
    survives(tmp_path / "flipped.gguf")


@pytest.mark.long
def test_every_bit_of_a_header(sound: Path, tmp_path: Path) -> None:
    content = bytearray(sound.read_bytes())
    end = min(tensor.offset for tensor in read_header(sound).tensors)
    path = tmp_path / "flipped.gguf"
    path.write_bytes(content)
    with path.open("r+b") as file:
        for place in range(end):
            for bit in range(8):
                file.seek(place)
                file.write(bytes([content[place] ^ (1 << bit)]))
                file.flush()
                survives(path)
            file.seek(place)
            file.write(content[place : place + 1])
