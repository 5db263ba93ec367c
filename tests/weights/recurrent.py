"""Models whose past is a running state that cannot be cut back: Mamba, and a hybrid that has a KV cache too."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from benchmarks.weights import add_tokenizer, finish
from tests.weights.noise import Noise

_VOCABULARY = 258


def tiny_mamba(folder: Path, *, seed: int = 0) -> Path:
    """A recurrent model of the vocabulary of `tiny_llama`: no KV cache, but a state of fixed size."""
    path = folder / f"tiny-mamba-{seed}.gguf"
    width, inner, state, rank, kernel, layers = 64, 128, 16, 8, 4, 2
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_name("tiny-mamba")
    writer.add_context_length(4096)
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
    add_tokenizer(writer, _VOCABULARY)
    noise = Noise(writer, seed)
    noise.add("token_embd.weight", _VOCABULARY, width, deviation=1.0)
    noise.add("output.weight", _VOCABULARY, width, deviation=0.5)
    noise.ones("output_norm.weight", width)
    for layer in range(layers):
        block = f"blk.{layer}"
        noise.ones(f"{block}.attn_norm.weight", width)
        noise.add(f"{block}.ssm_in.weight", 2 * inner, width)
        noise.add(f"{block}.ssm_conv1d.weight", inner, kernel, deviation=0.5)
        noise.add(f"{block}.ssm_conv1d.bias", inner, deviation=0.1)
        noise.add(f"{block}.ssm_x.weight", rank + 2 * state, inner)
        noise.linear(f"{block}.ssm_dt", inner, rank)
        writer.add_tensor(f"{block}.ssm_a", -np.tile(np.arange(1, state + 1, dtype=np.float32), (inner, 1)))
        noise.ones(f"{block}.ssm_d", inner)
        noise.add(f"{block}.ssm_out.weight", width, inner)
    finish(writer)
    return path


def tiny_hybrid(folder: Path, *, seed: int = 0) -> Path:
    """A Granite 4 hybrid: layers of Mamba 2 with a running state, and layers of attention with a KV cache."""
    path = folder / f"tiny-hybrid-{seed}.gguf"
    width, heads, kv_heads, hidden = 64, 4, 2, 128
    # The architecture fixes the inner width at twice the outer.
    inner, state, ssm_heads, kernel = 128, 16, 8, 4
    attends = (False, True, False, True)
    writer = gguf.GGUFWriter(path, "granitehybrid")
    writer.add_name("tiny-hybrid")
    writer.add_context_length(4096)
    writer.add_embedding_length(width)
    writer.add_block_count(len(attends))
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv([kv_heads if each else 0 for each in attends])
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(ssm_heads)
    writer.add_ssm_group_count(1)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_tokenizer(writer, _VOCABULARY)
    noise = Noise(writer, seed)
    noise.add("token_embd.weight", _VOCABULARY, width, deviation=1.0)
    noise.add("output.weight", _VOCABULARY, width, deviation=0.5)
    noise.ones("output_norm.weight", width)
    for layer, attention in enumerate(attends):
        block = f"blk.{layer}"
        noise.ones(f"{block}.attn_norm.weight", width)
        noise.ones(f"{block}.ffn_norm.weight", width)
        if attention:
            noise.add(f"{block}.attn_q.weight", width, width)
            noise.add(f"{block}.attn_k.weight", kv_heads * width // heads, width)
            noise.add(f"{block}.attn_v.weight", kv_heads * width // heads, width)
            noise.add(f"{block}.attn_output.weight", width, width)
        else:
            mixed = inner + 2 * state
            noise.add(f"{block}.ssm_in.weight", inner + mixed + ssm_heads, width)
            noise.add(f"{block}.ssm_conv1d.weight", mixed, kernel, deviation=0.5)
            noise.add(f"{block}.ssm_conv1d.bias", mixed, deviation=0.1)
            noise.add(f"{block}.ssm_dt.bias", ssm_heads, deviation=0.1)
            writer.add_tensor(f"{block}.ssm_a", -np.linspace(0.1, 2.0, ssm_heads, dtype=np.float32)[:, None])
            noise.ones(f"{block}.ssm_d", ssm_heads, 1)
            noise.ones(f"{block}.ssm_norm.weight", 1, inner)
            noise.add(f"{block}.ssm_out.weight", width, inner)
        noise.add(f"{block}.ffn_gate.weight", hidden, width)
        noise.add(f"{block}.ffn_up.weight", hidden, width)
        noise.add(f"{block}.ffn_down.weight", width, hidden)
    finish(writer)
    return path
