"""Load options do what they say, and what cannot be honoured is refused by its name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidRequest, ModelLoadFailed, Unsupported
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.folder.backend import FolderBackend
from engine.runtime.backends.mlx.library import open_model as open_mlx
from engine.types import LoadOptions
from starter import hf_path
from tests.engine.hf.driving import generate, opened

QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"


def answer(backend: FolderBackend) -> str:
    prompt = backend.tokenize(QUESTION, add_special=False, parse_special=True)
    return b"".join(map(backend.piece, generate(backend, prompt, 8))).decode()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options", [{"load_in_8bit": True}, {"load_in_4bit": True}, {"dtype": "bf16"}], ids=str
)
def test_weights_are_held_as_asked(options: dict[str, Any]) -> None:
    plain = opened(hf_path())
    asked = opened(hf_path(), **options)
    assert asked.memory().weights < 0.75 * plain.memory().weights
    assert asked.identity != plain.identity
    assert "France" in answer(plain) and "capital" in answer(asked)
    plain.close()
    asked.close()


def test_mlx_quantises_while_it_loads() -> None:
    def with_mlx(**options: Any) -> FolderBackend:
        said = LoadOptions(slots=1, context=128, **options)
        return open_mlx(
            LoadSpec(model="ember", path=str(hf_path()), options=said), lambda stage, fraction: True
        )

    plain, asked = with_mlx(), with_mlx(load_in_8bit=True)
    assert asked.memory().weights < 0.75 * plain.memory().weights
    assert asked.identity != plain.identity and "capital" in answer(asked)
    plain.close()
    asked.close()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"dtype": "float8"}, InvalidRequest, "float8"),
        ({"load_in_8bit": True, "load_in_4bit": True}, InvalidRequest, "not both"),
        ({"kv_type": "q4_0"}, Unsupported, "keys and values"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        opened(hf_path(), **options)


def test_weights_that_do_not_fit_their_configuration_are_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(hf_path(), tmp_path / "ember")
    (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace('"llama"', '"no_such_model"')
    )
    with pytest.raises(ModelLoadFailed, match="cannot be loaded") as caught:
        opened(folder)
    assert "no_such_model" in caught.value.why
