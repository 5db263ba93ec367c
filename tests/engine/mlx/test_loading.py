"""What MLX is asked for and cannot do is said, not passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import InvalidRequest, Unsupported
from tests.engine.mlx.test_passes import opened
from tests.weights.hf_folders import write_hf

pytest.importorskip("mlx.core")


def test_weights_have_one_number_of_bits(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "llama", "llama")
    with pytest.raises(InvalidRequest, match="not both"):
        opened(folder, load_in_4bit=True, load_in_8bit=True)


def test_what_is_quantised_is_not_quantised_otherwise(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "llama", "llama")
    config = json.loads((folder / "config.json").read_text())
    said = {"quantization": {"bits": 8, "group_size": 64}}
    (folder / "config.json").write_text(json.dumps(config | said))
    with pytest.raises(Unsupported, match="8 bits") as caught:
        opened(folder, load_in_4bit=True)
    assert caught.value.param == "load_in_4bit"
