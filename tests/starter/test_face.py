"""The package's face: paths that exist, an import that loads nothing heavy, a size that fits a repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from starter import adapter_path, gguf_path, hf_path

HEAVY = ("torch", "transformers", "tokenizers", "safetensors", "gguf", "numpy", "jinja2", "llama_cpp")


def test_every_named_file_is_there() -> None:
    assert gguf_path().read_bytes()[:4] == b"GGUF"
    assert adapter_path("pirate").read_bytes()[:4] == b"GGUF"
    assert (adapter_path("pirate").with_suffix("") / "adapter_model.safetensors").is_file()
    names = {path.name for path in hf_path().iterdir()}
    assert names >= {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert names >= {"tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"}


def test_everything_is_under_twelve_megabytes() -> None:
    folder = gguf_path().parent
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 12_000_000


def test_an_unknown_adapter_is_named_with_those_that_exist() -> None:
    with pytest.raises(FileNotFoundError, match="no adapter 'bard'; it has: pirate"):
        adapter_path("bard")


def test_importing_the_package_loads_nothing_heavy(repository: Path) -> None:
    code = f"import sys, starter; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
