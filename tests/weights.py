"""Tiny random-weight models for tests, thinly over the writer that the benchmarks use."""

from __future__ import annotations

from pathlib import Path

from benchmarks.weights import Llama, write_adapter, write_llama

TINY = Llama()
"""F32, so that sums in another order move a logit by less than any gap between two tokens."""
__all__ = ["TINY", "Llama", "tiny_adapter", "tiny_llama", "write_adapter", "write_llama"]


def tiny_llama(folder: Path, *, seed: int = 0, chat_template: str | None = None) -> Path:
    """A model of some 100,000 parameters and a vocabulary of 256 bytes, `<|bos|>` and `<|eos|>`."""
    return write_llama(folder / f"tiny-{seed}.gguf", TINY, seed=seed, chat_template=chat_template)


def tiny_adapter(folder: Path, *, seed: int = 1) -> Path:
    """A LoRA adapter that fits `tiny_llama`, strong enough to change what it says."""
    return write_adapter(folder / f"tiny-adapter-{seed}.gguf", TINY, seed=seed)
