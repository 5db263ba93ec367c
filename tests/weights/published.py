"""Models in the sizes of published ones, without their weights: header and tensor list are whole, the rest is a hole.

A file takes a few hundred kilobytes of the disk, whatever it says of itself, and llama.cpp's dry run takes it for the
model. The sizes are those of the models' public configurations; only the vocabulary is small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from msgspec import Struct

from benchmarks.weights import add_tokenizer

VOCABULARY = 258
Shape = tuple[int, ...]
Tensors = Iterator[tuple[str, Shape]]
"""Names without `.weight`, shapes with the slowest dimension first."""


class Published(Struct, frozen=True, kw_only=True):
    """One model: what its header says under its architecture's name, and its tensors."""

    architecture: str
    metadata: Mapping[str, Any]
    tensors: Callable[[Mapping[str, Any]], Tensors]

    def write(self, path: Path) -> Path:
        """Write the file, its weights a hole of the right size; `path`."""
        writer = gguf.GGUFWriter(path, self.architecture)
        for key, value in self.metadata.items():
            _add(writer, f"{self.architecture}.{key}", value)
        add_tokenizer(writer, VOCABULARY)
        size = 0
        embeddings = ("token_embd", (VOCABULARY, self.metadata["embedding_length"]))
        for name, shape in (embeddings, *self.tensors(self.metadata)):
            matrix = len(shape) > 1 and not name.endswith(("conv", "ssm_conv1d", "ssm_a"))
            kind = np.float16 if matrix else np.float32
            count = int(np.prod(shape)) * np.dtype(kind).itemsize
            full = name if name.endswith((".bias", "ssm_a", "ssm_d")) else f"{name}.weight"
            writer.add_tensor_info(full, shape, np.dtype(kind), count)
            size += -(-count // 32) * 32
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        writer.close()
        with path.open("r+b") as file:
            start = -(-file.seek(0, 2) // 32) * 32
            file.truncate(start + size)
        return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_array(key, list(value))


def _each(value: int | Sequence[int], layer: int) -> int:
    return value if isinstance(value, int) else value[layer]


def _attention(says: Mapping[str, Any], layer: int, *, biases: bool = False) -> Tensors:
    width, block = says["embedding_length"], f"blk.{layer}"
    heads = _each(says["attention.head_count"], layer)
    kv_heads = _each(says["attention.head_count_kv"], layer)
    size = says.get("attention.key_length", width // heads)
    yield f"{block}.attn_q", (heads * size, width)
    yield f"{block}.attn_k", (kv_heads * size, width)
    yield f"{block}.attn_v", (kv_heads * size, width)
    yield f"{block}.attn_output", (width, heads * size)
    if biases:
        yield f"{block}.attn_q.bias", (heads * size,)
        yield f"{block}.attn_k.bias", (kv_heads * size,)
        yield f"{block}.attn_v.bias", (kv_heads * size,)


def _dense(says: Mapping[str, Any], layer: int, hidden: int = 0) -> Tensors:
    width, hidden = says["embedding_length"], hidden or _each(says["feed_forward_length"], layer)
    yield f"blk.{layer}.ffn_gate", (hidden, width)
    yield f"blk.{layer}.ffn_up", (hidden, width)
    yield f"blk.{layer}.ffn_down", (width, hidden)


def _experts(says: Mapping[str, Any], layer: int) -> Tensors:
    width, count = says["embedding_length"], says["expert_count"]
    hidden = says.get("expert_feed_forward_length", says.get("feed_forward_length"))
    yield f"blk.{layer}.ffn_gate_inp", (count, width)
    yield f"blk.{layer}.ffn_gate_exps", (count, hidden, width)
    yield f"blk.{layer}.ffn_up_exps", (count, hidden, width)
    yield f"blk.{layer}.ffn_down_exps", (count, width, hidden)


def _shared_expert(says: Mapping[str, Any], layer: int) -> Tensors:
    width, hidden = says["embedding_length"], says["expert_shared_feed_forward_length"]
    yield f"blk.{layer}.ffn_gate_shexp", (hidden, width)
    yield f"blk.{layer}.ffn_up_shexp", (hidden, width)
    yield f"blk.{layer}.ffn_down_shexp", (width, hidden)


def _norms(says: Mapping[str, Any], layer: int, *names: str, size: int = 0) -> Tensors:
    for name in names:
        yield f"blk.{layer}.{name}", (size or says["embedding_length"],)


def _plain(
    says: Mapping[str, Any],
    *,
    norms: Sequence[str] = ("attn_norm", "ffn_norm"),
    head_norms: bool = False,
    biases: bool = False,
    experts: bool = False,
) -> Tensors:
    """Attention and feed-forward in every layer."""
    yield "output_norm", (says["embedding_length"],)
    for layer in range(says["block_count"]):
        yield from _norms(says, layer, *norms)
        yield from _attention(says, layer, biases=biases)
        if head_norms:
            yield from _norms(says, layer, "attn_q_norm", "attn_k_norm", size=says["attention.key_length"])
        yield from _experts(says, layer) if experts else _dense(says, layer)


def _gemma(says: Mapping[str, Any], *, head_norms: bool) -> Tensors:
    norms = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
    yield from _plain(says, norms=norms, head_norms=head_norms)


def _phi3(says: Mapping[str, Any]) -> Tensors:
    width, hidden = says["embedding_length"], says["feed_forward_length"]
    yield "output_norm", (width,)
    yield "output", (VOCABULARY, width)
    for layer in range(says["block_count"]):
        yield from _norms(says, layer, "attn_norm", "ffn_norm")
        yield f"blk.{layer}.attn_qkv", (3 * width, width)
        yield f"blk.{layer}.attn_output", (width, width)
        yield f"blk.{layer}.ffn_up", (2 * hidden, width)
        yield f"blk.{layer}.ffn_down", (width, hidden)


def _openelm(says: Mapping[str, Any]) -> Tensors:
    width, size = says["embedding_length"], says["attention.key_length"]
    yield "output_norm", (width,)
    for layer in range(says["block_count"]):
        heads = says["attention.head_count"][layer]
        rows = heads + 2 * says["attention.head_count_kv"][layer]
        yield from _norms(says, layer, "attn_norm", "ffn_norm")
        yield from _norms(says, layer, "attn_q_norm", "attn_k_norm", size=size)
        yield f"blk.{layer}.attn_qkv", (rows * size, width)
        yield f"blk.{layer}.attn_output", (width, heads * size)
        yield from _dense(says, layer)


def _deepseek2(says: Mapping[str, Any]) -> Tensors:
    width, heads = says["embedding_length"], says["attention.head_count"]
    rank, rotated = says["attention.kv_lora_rank"], says["rope.dimension_count"]
    keys, values = says["attention.key_length_mla"], says["attention.value_length_mla"]
    yield "output_norm", (width,)
    yield "output", (VOCABULARY, width)
    for layer in range(says["block_count"]):
        yield from _norms(says, layer, "attn_norm", "ffn_norm")
        yield from _norms(says, layer, "attn_kv_a_norm", size=rank)
        yield f"blk.{layer}.attn_q", (heads * keys, width)
        yield f"blk.{layer}.attn_kv_a_mqa", (rank + rotated, width)
        yield f"blk.{layer}.attn_k_b", (heads, rank, keys - rotated)
        yield f"blk.{layer}.attn_v_b", (heads, values, rank)
        yield f"blk.{layer}.attn_output", (width, heads * values)
        if layer < says["leading_dense_block_count"]:
            yield from _dense(says, layer)
        else:
            yield from _experts(says, layer)
            yield from _shared_expert(
                {
                    **says,
                    "expert_shared_feed_forward_length": says["expert_shared_count"]
                    * says["expert_feed_forward_length"],
                },
                layer,
            )


def _gpt_oss(says: Mapping[str, Any]) -> Tensors:
    width, count, hidden = says["embedding_length"], says["expert_count"], says["expert_feed_forward_length"]
    yield "output_norm", (width,)
    yield "output", (VOCABULARY, width)
    for layer in range(says["block_count"]):
        block = f"blk.{layer}"
        yield from _norms(says, layer, "attn_norm", "post_attention_norm")
        yield from _norms(says, layer, "attn_sinks", size=says["attention.head_count"])
        yield from _attention(says, layer, biases=True)
        yield f"{block}.attn_output.bias", (width,)
        yield from _experts(says, layer)
        yield f"{block}.ffn_gate_inp.bias", (count,)
        yield f"{block}.ffn_gate_exps.bias", (count, hidden)
        yield f"{block}.ffn_up_exps.bias", (count, hidden)
        yield f"{block}.ffn_down_exps.bias", (count, width)


def _granite_hybrid(says: Mapping[str, Any]) -> Tensors:
    width, inner, state = says["embedding_length"], says["ssm.inner_size"], says["ssm.state_size"]
    heads, rolling = says["ssm.time_step_rank"], inner + 2 * says["ssm.group_count"] * state
    yield "output_norm", (width,)
    for layer in range(says["block_count"]):
        block = f"blk.{layer}"
        yield from _norms(says, layer, "attn_norm", "ffn_norm")
        if says["attention.head_count_kv"][layer]:
            yield from _attention(says, layer)
        else:
            yield f"{block}.ssm_in", (rolling + inner + heads, width)
            yield f"{block}.ssm_conv1d", (rolling, says["ssm.conv_kernel"])
            yield f"{block}.ssm_conv1d.bias", (rolling,)
            yield f"{block}.ssm_dt.bias", (heads,)
            yield f"{block}.ssm_a", (heads, 1)
            yield f"{block}.ssm_d", (heads, 1)
            yield f"{block}.ssm_norm", (says["ssm.group_count"], inner // says["ssm.group_count"])
            yield f"{block}.ssm_out", (width, inner)
        yield from _experts(says, layer)
        yield from _shared_expert(says, layer)


def _mamba(says: Mapping[str, Any]) -> Tensors:
    width, inner, state = says["embedding_length"], says["ssm.inner_size"], says["ssm.state_size"]
    rank = says["ssm.time_step_rank"]
    yield "output_norm", (width,)
    for layer in range(says["block_count"]):
        block = f"blk.{layer}"
        yield from _norms(says, layer, "attn_norm")
        yield f"{block}.ssm_in", (2 * inner, width)
        yield f"{block}.ssm_conv1d", (inner, says["ssm.conv_kernel"])
        yield f"{block}.ssm_conv1d.bias", (inner,)
        yield f"{block}.ssm_x", (rank + 2 * state, inner)
        yield f"{block}.ssm_dt", (inner, rank)
        yield f"{block}.ssm_dt.bias", (inner,)
        yield f"{block}.ssm_a", (inner, state)
        yield f"{block}.ssm_d", (inner,)
        yield f"{block}.ssm_out", (width, inner)


def _lfm2(says: Mapping[str, Any]) -> Tensors:
    width = says["embedding_length"]
    yield "token_embd_norm", (width,)
    for layer in range(says["block_count"]):
        yield from _norms(says, layer, "attn_norm", "ffn_norm")
        if says["attention.head_count_kv"][layer]:
            yield from _attention(says, layer)
            size = width // says["attention.head_count"]
            yield from _norms(says, layer, "attn_q_norm", "attn_k_norm", size=size)
        else:
            yield f"blk.{layer}.shortconv.conv", (width, says["shortconv.l_cache"])
            yield f"blk.{layer}.shortconv.in_proj", (3 * width, width)
            yield f"blk.{layer}.shortconv.out_proj", (width, width)
        yield from _dense(says, layer)


def _says(
    layers: int,
    width: int,
    heads: int | Sequence[int],
    kv_heads: int | Sequence[int],
    hidden: int | Sequence[int],
    *,
    context: int = 131_072,
    **more: Any,
) -> dict[str, Any]:
    """The metadata that every model has; in the names of further ones `__` stands for a dot."""
    said = {
        "block_count": layers,
        "context_length": context,
        "embedding_length": width,
        "feed_forward_length": hidden,
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }
    return said | {key.replace("__", "."): value for key, value in more.items()}


PUBLISHED: dict[str, Published] = {
    "Llama 3.1 8B": Published(
        architecture="llama",
        metadata=_says(32, 4096, 32, 8, 14_336, rope__freq_base=5e5),
        tensors=_plain,
    ),
    "Mixtral 8x7B": Published(
        architecture="llama",
        metadata=_says(32, 4096, 32, 8, 14_336, context=32_768, expert_count=8, expert_used_count=2),
        tensors=lambda says: _plain(says, experts=True),
    ),
    "Qwen2.5 7B": Published(
        architecture="qwen2",
        metadata=_says(28, 3584, 28, 4, 18_944, context=32_768),
        tensors=lambda says: _plain(says, biases=True),
    ),
    "Qwen3 30B A3B": Published(
        architecture="qwen3moe",
        metadata=_says(
            48, 2048, 32, 4, 6144, context=40_960, attention__key_length=128, attention__value_length=128,
            expert_count=128, expert_used_count=8, expert_feed_forward_length=768,
        ),
        tensors=lambda says: _plain(says, head_norms=True, experts=True),
    ),
    "Gemma 2 9B": Published(
        architecture="gemma2",
        metadata=_says(
            42, 3584, 16, 8, 14_336, context=8192, attention__key_length=256, attention__value_length=256,
            attention__sliding_window=4096,
        ),
        tensors=lambda says: _gemma(says, head_norms=False),
    ),
    "Gemma 3 4B": Published(
        architecture="gemma3",
        metadata=_says(
            34, 2560, 8, 4, 10_240, attention__key_length=256, attention__value_length=256,
            attention__sliding_window=1024,
        ),
        tensors=lambda says: _gemma(says, head_norms=True),
    ),
    "Command R7B": Published(
        architecture="cohere2",
        metadata=_says(
            32, 4096, 32, 8, 14_336, context=8192, attention__sliding_window=4096, logit_scale=0.25,
            attention__layer_norm_epsilon=1e-5, rope__dimension_count=128,
        ),
        tensors=lambda says: _plain(says, norms=("attn_norm",)),
    ),
    "Phi 3 mini": Published(
        architecture="phi3",
        metadata=_says(
            32, 3072, 32, 32, 8192, context=4096, attention__sliding_window=2047, rope__dimension_count=96
        ),
        tensors=_phi3,
    ),
    "OpenELM 270M": Published(
        architecture="openelm",
        metadata=_says(
            16, 1280,
            [12] * 5 + [16] * 7 + [20] * 4, [3] * 5 + [4] * 7 + [5] * 4,
            [768, 1024, 1280, 1536, 1792, 2048, 2560, 2816, 3072, 3328, 3584, 3840, 4352, 4608, 4864, 5120],
            context=2048, attention__key_length=64, attention__value_length=64, rope__dimension_count=64,
        ),
        tensors=_openelm,
    ),
    "DeepSeek V2 Lite": Published(
        architecture="deepseek2",
        metadata=_says(
            27, 2048, 16, 1, 10_944, context=163_840,
            attention__key_length=576, attention__value_length=512, attention__key_length_mla=192,
            attention__value_length_mla=128, attention__kv_lora_rank=512, rope__dimension_count=64,
            leading_dense_block_count=1, expert_count=64, expert_used_count=6, expert_shared_count=2,
            expert_feed_forward_length=1408, expert_weights_scale=1.0,
        ),
        tensors=_deepseek2,
    ),
    "gpt-oss 20B": Published(
        architecture="gpt-oss",
        metadata=_says(
            24, 2880, 64, 8, 2880, attention__key_length=64, attention__value_length=64,
            attention__sliding_window=128, expert_count=32, expert_used_count=4, expert_feed_forward_length=2880,
        ),
        tensors=_gpt_oss,
    ),
    "Granite 4.0 H Tiny": Published(
        architecture="granitehybrid",
        metadata=_says(
            40, 1536, 12, [4 if layer % 10 == 5 else 0 for layer in range(40)], 512,
            rope__dimension_count=128, ssm__conv_kernel=4, ssm__inner_size=3072, ssm__state_size=128,
            ssm__time_step_rank=48, ssm__group_count=1, expert_count=64, expert_used_count=6,
            expert_shared_feed_forward_length=1024,
        ),
        tensors=_granite_hybrid,
    ),
    "LFM2 1.2B": Published(
        architecture="lfm2",
        metadata=_says(
            16, 2048, 32, [8 if layer in (2, 5, 8, 10, 12, 14) else 0 for layer in range(16)], 8192,
            context=128_000, shortconv__l_cache=3,
        ),
        tensors=_lfm2,
    ),
    "Mamba 2.8B": Published(
        architecture="mamba",
        metadata=_says(
            64, 2560, 0, 0, 0, context=1_048_576, ssm__conv_kernel=4, ssm__inner_size=5120, ssm__state_size=16,
            ssm__time_step_rank=160,
        ),
        tensors=_mamba,
    ),
}  # fmt: skip
