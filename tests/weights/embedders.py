"""Decoders that do not write: Qwen3 as an embedding model, and as a judge with a ranking head."""

from __future__ import annotations

from pathlib import Path

import gguf

from benchmarks.weights import add_tokenizer, finish
from tests.weights.noise import Noise

_WIDTH, _HEADS, _KV_HEADS, _HEAD, _HIDDEN, _LAYERS, _VOCABULARY = 64, 4, 2, 16, 128, 2, 258
RERANK_TEMPLATE = "Query: {query}\nDocument: {document}\nYes or no?"


def tiny_embedder(folder: Path, *, seed: int = 0, context: int = 512) -> Path:
    """A causal embedding model of 64 numbers a vector: that of the last token, which is `<|eos|>`."""
    path = folder / f"tiny-embedder-{seed}.gguf"
    writer, _ = _qwen3(path, seed, gguf.PoolingType.LAST, context)
    writer.add_add_eos_token(True)
    finish(writer)
    return path


def tiny_judge(folder: Path, *, seed: int = 0, template: str | None = RERANK_TEMPLATE) -> Path:
    """A causal model that answers whether a document fits a query: the probability of `yes` is its score."""
    path = folder / f"tiny-judge-{seed}.gguf"
    writer, noise = _qwen3(path, seed, gguf.PoolingType.RANK, 512)
    writer.add_classifier_output_labels(["yes", "no"])
    if template is not None:
        writer.add_chat_template([{"name": "rerank", "template": template}])
    noise.add("cls.output.weight", 2, _WIDTH)
    finish(writer)
    return path


def _qwen3(path: Path, seed: int, pooling: gguf.PoolingType, context: int) -> tuple[gguf.GGUFWriter, Noise]:
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_name(path.stem)
    writer.add_context_length(context)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_HIDDEN)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_key_length(_HEAD)
    writer.add_value_length(_HEAD)
    writer.add_rope_dimension_count(_HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_pooling_type(pooling)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_tokenizer(writer, _VOCABULARY)
    noise = Noise(writer, seed)
    noise.add("token_embd.weight", _VOCABULARY, _WIDTH, deviation=1.0)
    noise.ones("output_norm.weight", _WIDTH)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        noise.ones(f"{block}.attn_norm.weight", _WIDTH)
        noise.ones(f"{block}.ffn_norm.weight", _WIDTH)
        noise.ones(f"{block}.attn_q_norm.weight", _HEAD)
        noise.ones(f"{block}.attn_k_norm.weight", _HEAD)
        noise.add(f"{block}.attn_q.weight", _HEADS * _HEAD, _WIDTH)
        noise.add(f"{block}.attn_k.weight", _KV_HEADS * _HEAD, _WIDTH)
        noise.add(f"{block}.attn_v.weight", _KV_HEADS * _HEAD, _WIDTH)
        noise.add(f"{block}.attn_output.weight", _WIDTH, _HEADS * _HEAD)
        noise.add(f"{block}.ffn_gate.weight", _HIDDEN, _WIDTH)
        noise.add(f"{block}.ffn_up.weight", _HIDDEN, _WIDTH)
        noise.add(f"{block}.ffn_down.weight", _WIDTH, _HIDDEN)
    return writer, noise
