"""The starter vision-language model ``ember-vision``: where its files are. Importing this loads nothing heavy.

The weights live in ``starter/ember-vision``; the pictures it knows are drawn by ``starter/pictures.py``, and how
it is made is in ``starter/vision/train.py`` and ``starter/README.md``.
"""

from __future__ import annotations

from pathlib import Path

_HOME = Path(__file__).parent.parent / "ember-vision"

__all__ = ["gguf_path", "hf_path", "mmproj_path"]


def gguf_path() -> Path:
    """The Q8_0 GGUF file of the language part, for llama.cpp."""
    return _HOME / "ember-vision-q8_0.gguf"


def mmproj_path() -> Path:
    """The F16 GGUF file of vision tower and projector, for llama.cpp's mtmd; it goes with `gguf_path`."""
    return _HOME / "mmproj-ember-vision-f16.gguf"


def hf_path() -> Path:
    """The Hugging Face folder (safetensors, tokenizer, processor, config), for transformers."""
    return _HOME / "hf"
