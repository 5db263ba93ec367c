"""Which projector belongs to which model, by what lies in their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.library.gguf import read_header
from engine.library.projectors import Projectors
from tests.weights import tiny_llama


def write_projector(path: Path, *, sees: bool = True) -> Path:
    import gguf

    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_vision_encoder", sees)
    writer.add_uint32("clip.vision.image_size", 64)
    writer.add_uint32("clip.vision.patch_size", 8)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def place(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        if "mmproj" in name:
            write_projector(folder / name)
        else:
            tiny_llama(folder.parent).replace(folder / name)


def test_a_quantisation_in_a_folder_of_its_own_has_the_projector_above_it(tmp_path: Path) -> None:
    top = tmp_path / "Eye-GGUF"
    place(top, "mmproj-F16.gguf")
    for label in ("Q4_K_M", "UD-Q8_K_XL"):
        place(top / label, f"Eye-{label}-00001-of-00002.gguf")
    found = Projectors(read_header)
    for label in ("Q4_K_M", "UD-Q8_K_XL"):
        model = top / label / f"Eye-{label}-00001-of-00002.gguf"
        assert found.of(model) == top / "mmproj-F16.gguf"
    # One that lies beside it is nearer.
    place(top / "Q4_K_M", "mmproj-Eye-BF16.gguf")
    near = top / "Q4_K_M" / "mmproj-Eye-BF16.gguf"
    assert Projectors(read_header).of(top / "Q4_K_M" / "Eye-Q4_K_M-00001-of-00002.gguf") == near


def test_a_folder_of_several_models_lends_its_projector_to_none_of_them(tmp_path: Path) -> None:
    top = tmp_path / "all"
    place(top, "mmproj-F16.gguf")
    place(top / "Q4_K_M", "Eye-Q4_K_M.gguf")
    place(top / "Q8_0", "Ear-Q8_0.gguf")
    place(top / "ear", "Ear.gguf")
    found = Projectors(read_header)
    assert found.of(top / "Q4_K_M" / "Eye-Q4_K_M.gguf") is None
    assert found.of(top / "ear" / "Ear.gguf") is None


def test_one_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    place(folder, "Eye-F16.gguf")
    (folder / "mmproj-Eye-F16.gguf").write_bytes(b"GGUF no more")
    found = Projectors(read_header)
    assert found.of(folder / "Eye-F16.gguf") is None
    assert "mmproj-Eye-F16.gguf beside it cannot be used" in found.problem(folder / "Eye-F16.gguf")


@pytest.mark.parametrize(
    ("names", "model", "expected"),
    [
        (("gemma-3-4b-it-Q4_K_M.gguf", "mmproj-model-f16.gguf"), 0, 1),
        (("gemma-3-4b-it-Q4_K_M.gguf", "mmproj-gemma-3-4b-it-f16.gguf"), 0, 1),
        (("gemma-3-4b-it-Q4_K_M.gguf", "gemma-3-4b-it-mmproj-f16.gguf"), 0, 1),
        (
            ("Qwen3-VL-4B-UD-Q4_K_XL.gguf", "Qwen3-VL-4B-Q8_0.gguf", "mmproj-BF16.gguf", "mmproj-F32.gguf"),
            1,
            2,
        ),
        (("a-7b-q4_0.gguf", "b-7b-q4_0.gguf", "mmproj-b-7b-f16.gguf"), 1, 2),
        (("a-7b-q4_0.gguf", "b-7b-q4_0.gguf", "mmproj-b-7b-f16.gguf"), 0, None),
        (("a-7b-q4_0.gguf", "b-7b-q4_0.gguf", "mmproj-f16.gguf"), 0, None),
        (("a-7b-q4_0.gguf", "mmproj-other-3b-f16.gguf"), 0, None),
        (("a-7b-q4_0.gguf", "mmproj-a-7b-bf16.gguf", "mmproj-a-7b-f16.gguf", "mmproj-a-7b-q8_0.gguf"), 0, 2),
        (("a-7b.gguf",), 0, None),
    ],
)
def test_the_projector_of_a_model(
    tmp_path: Path, names: tuple[str, ...], model: int, expected: int | None
) -> None:
    folder = tmp_path / "models"
    place(folder, *names)
    found = Projectors(read_header).of(folder / names[model])
    assert found == (None if expected is None else folder / names[expected])


def test_what_is_not_for_pictures_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    place(folder, "a-7b.gguf")
    write_projector(folder / "mmproj-a-7b.gguf", sees=False)
    (folder / "mmproj-broken.gguf").write_bytes(b"GGUF")
    assert Projectors(read_header).of(folder / "a-7b.gguf") is None
