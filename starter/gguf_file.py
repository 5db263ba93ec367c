"""Write ember and its adapters as GGUF: names and shapes of llama.cpp's ``llama`` architecture.

Source of names and of the rotary permutation: llama.cpp's ``gguf-py`` constants and its converter for Llama.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from .model import ModelShape
from .template import chat_template
from .tokenizer import TEXT_MARKERS

Array = NDArray[np.float32]

_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@dataclass(frozen=True)
class Sampling:
    """The sampling that a model recommends for itself."""

    temperature: float
    top_k: int
    top_p: float


def gguf_name(name: str) -> str:
    """The GGUF tensor name of a Hugging Face parameter, without its ``.weight``.

    Raises KeyError for a parameter that a Llama does not have.
    """
    name = name.removesuffix(".weight")
    if name in _NAMES:
        return _NAMES[name]
    layer, part = name.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{_NAMES[part]}"


def permuted(rows: Array, heads: int) -> Array:
    """Output rows of q or k, from halves (Hugging Face) to neighbouring pairs (llama.cpp's rotary form)."""
    count, width = rows.shape
    return rows.reshape(heads, 2, count // heads // 2, width).swapaxes(1, 2).reshape(count, width)


def heads_to_permute(name: str, shape: ModelShape) -> int | None:
    """How many heads the output rows of this parameter hold if rotary positions act on them, else None."""
    if "q_proj" in name:
        return shape.heads
    return shape.kv_heads if "k_proj" in name else None


def add_vocabulary(writer: gguf.GGUFWriter, tokenizer_json: Path, template: str) -> None:
    """Tokens, kinds, merges and special ids from a ``tokenizer.json``."""
    whole = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    table = whole["model"]
    tokens = sorted(table["vocab"], key=table["vocab"].__getitem__)
    kinds = {
        token["content"]: gguf.TokenType.USER_DEFINED
        if token["content"] in TEXT_MARKERS
        else gguf.TokenType.CONTROL
        for token in whole["added_tokens"]
    }
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(token, gguf.TokenType.NORMAL) for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in table["merges"]])
    writer.add_eos_token_id(table["vocab"]["<|im_end|>"])
    writer.add_pad_token_id(table["vocab"]["<|endoftext|>"])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(template)


def write_model(
    path: Path,
    weights: dict[str, Array],
    shape: ModelShape,
    tokenizer_json: Path,
    sampling: Sampling,
    *,
    name: str = "ember",
    description: str = "The tiny starter model of Hearth, for trying and testing",
    template: str | None = None,
    matrices: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q8_0,
) -> None:
    """The whole model: ``matrices`` in Q8_0 or F32, norms in float32. The output matrix is the embedding.

    ``template`` is the chat template, ember's if there is none.
    """
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_description(description)
    writer.add_license("apache-2.0")
    writer.add_languages(["en"])
    writer.add_sampling_temp(sampling.temperature)
    writer.add_sampling_top_k(sampling.top_k)
    writer.add_sampling_top_p(sampling.top_p)
    quantised = matrices == gguf.GGMLQuantizationType.Q8_0
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantised else gguf.LlamaFileType.ALL_F32)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(shape.vocab_size)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_rope_dimension_count(shape.head_dim)
    add_vocabulary(writer, tokenizer_json, template or chat_template())
    for full, weight in weights.items():
        heads = heads_to_permute(full, shape)
        data = permuted(weight, heads) if heads else weight
        kind = matrices if data.ndim == 2 else gguf.GGMLQuantizationType.F32
        packed = gguf.quants.quantize(np.ascontiguousarray(data, dtype=np.float32), kind)
        writer.add_tensor(f"{gguf_name(full)}.weight", packed, raw_dtype=kind)
    _finish(writer)


def write_adapter(path: Path, weights: dict[str, Array], shape: ModelShape, name: str, alpha: float) -> None:
    """A LoRA adapter in float16. ``weights`` maps ``<parameter>.lora_A`` [rank, in] and ``.lora_B`` [out, rank]."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_name(name)
    writer.add_license("apache-2.0")
    for full, weight in weights.items():
        parameter, side = full.rsplit(".", 1)
        heads = heads_to_permute(parameter, shape) if side == "lora_B" else None
        data = permuted(weight, heads) if heads else weight
        tensor = f"{gguf_name(parameter)}.weight.{side.lower()}"
        writer.add_tensor(tensor, np.ascontiguousarray(data, dtype=np.float16))
    _finish(writer)


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
