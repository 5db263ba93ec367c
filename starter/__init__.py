"""The starter models ``ember`` and ``ember-vision``: where their files are. Importing this package loads nothing heavy.

How they are made is in ``starter/train.py``, ``starter/vision`` and ``starter/README.md``.
"""

from __future__ import annotations

from pathlib import Path

_HOME = Path(__file__).parent / "ember"

__all__ = ["adapter_path", "gguf_path", "hf_path", "vision_paths"]


def gguf_path() -> Path:
    """The Q8_0 GGUF file of ember, for llama.cpp."""
    return _HOME / "ember-q8_0.gguf"


def hf_path() -> Path:
    """The Hugging Face folder of ember (safetensors, tokenizer, config), for transformers and mlx-lm."""
    return _HOME / "hf"


def vision_paths() -> tuple[Path, Path, Path]:
    """Of ember-vision: the Q8_0 GGUF file, its projector, and the Hugging Face folder of the same weights."""
    home = Path(__file__).parent / "ember-vision"
    return home / "ember-vision-q8_0.gguf", home / "mmproj-ember-vision-f16.gguf", home / "hf"


def adapter_path(name: str) -> Path:
    """The GGUF file of the LoRA adapter ``name``; the folder of the same stem beside it is its PEFT form.

    Raises FileNotFoundError, naming the adapters that exist, when there is none of that name.
    """
    folder = _HOME / "adapters"
    known = sorted(path.stem for path in folder.glob("*.gguf"))
    if name not in known:
        raise FileNotFoundError(f"ember has no adapter {name!r}; it has: {', '.join(known) or 'none'}")
    return folder / f"{name}.gguf"
