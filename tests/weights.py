"""Tiny random-weight models for tests, thinly over the writer that the benchmarks use."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from benchmarks.weights import Llama, add_tokenizer, finish, write_adapter, write_llama

TINY = Llama()
"""F32, so that sums in another order move a logit by less than any gap between two tokens."""
__all__ = ["TINY", "Llama", "tiny_adapter", "tiny_llama", "tiny_mamba", "write_adapter", "write_llama"]


def tiny_llama(folder: Path, *, seed: int = 0, chat_template: str | None = None) -> Path:
    """A model of some 100,000 parameters and a vocabulary of 256 bytes, `<|bos|>` and `<|eos|>`."""
    return write_llama(folder / f"tiny-{seed}.gguf", TINY, seed=seed, chat_template=chat_template)


def tiny_adapter(folder: Path, *, seed: int = 1) -> Path:
    """A LoRA adapter that fits `tiny_llama`, strong enough to change what it says."""
    return write_adapter(folder / f"tiny-adapter-{seed}.gguf", TINY, seed=seed)


def tiny_mamba(folder: Path, *, seed: int = 0) -> Path:
    """A recurrent model of the same vocabulary: no KV cache, but a state that cannot be cut back."""
    path = folder / f"tiny-mamba-{seed}.gguf"
    rng = np.random.default_rng(seed)
    width, inner, state, rank, kernel, layers, vocabulary = 64, 128, 16, 8, 4, 2, 258
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_name("tiny-mamba")
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(layers)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_tokenizer(writer, vocabulary)

    def random(name: str, *shape: int, deviation: float) -> None:
        writer.add_tensor(name, rng.standard_normal(shape, np.float32) * np.float32(deviation))

    random("token_embd.weight", vocabulary, width, deviation=1.0)
    random("output.weight", vocabulary, width, deviation=0.5)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(layers):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", np.ones(width, np.float32))
        random(f"{block}.ssm_in.weight", 2 * inner, width, deviation=width**-0.5)
        random(f"{block}.ssm_conv1d.weight", inner, kernel, deviation=0.5)
        random(f"{block}.ssm_conv1d.bias", inner, deviation=0.1)
        random(f"{block}.ssm_x.weight", rank + 2 * state, inner, deviation=inner**-0.5)
        random(f"{block}.ssm_dt.weight", inner, rank, deviation=rank**-0.5)
        random(f"{block}.ssm_dt.bias", inner, deviation=0.1)
        writer.add_tensor(f"{block}.ssm_a", -np.tile(np.arange(1, state + 1, dtype=np.float32), (inner, 1)))
        writer.add_tensor(f"{block}.ssm_d", np.ones(inner, np.float32))
        random(f"{block}.ssm_out.weight", width, inner, deviation=inner**-0.5)
    finish(writer)
    return path
