"""From the names of PEFT to those of GGUF, for models that are built and named like Llama.

The names are those of Hugging Face's modules and of llama.cpp's tensors (`llama-arch.cpp`, `gguf-py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

Rotary = Literal["pairs", "halves"]

ROTARY: Final[Mapping[str, Rotary]] = {
    "llama": "pairs",
    "mistral3": "pairs",
    "granite": "pairs",
    "smollm3": "pairs",
    "arcee": "pairs",
    "qwen2": "halves",
    "qwen2moe": "halves",
    "qwen3": "halves",
    "qwen3moe": "halves",
    "gemma": "halves",
    "gemma2": "halves",
    "gemma3": "halves",
    "olmo2": "halves",
    "seed_oss": "halves",
}
"""Architectures whose adapters can be converted, and which numbers of a head llama.cpp rotates together:
neighbours, so that the rows of q and k are in another order than at Hugging Face, or those half a head apart."""

_PARTS: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# A causal model, a bare one, and the language model inside one that sees, in the old and the new nesting.
_ROOT: Final = (
    r"(?:base_model\.model\.)?(?:model\.language_model\.|language_model\.model\.|language_model\.|model\.)?"
)
_LAYER: Final = re.compile(_ROOT + r"layers\.(?P<layer>0|[1-9]\d{0,3})\.(?P<part>[a-z_]+\.[a-z_]+)")
_EMBEDDING: Final = re.compile(_ROOT + r"embed_tokens")
_HEAD: Final = re.compile(r"(?:base_model\.model\.)?(?:language_model\.)?lm_head")


def gguf_name(module: str) -> str | None:
    """The GGUF tensor (without `.weight`) of the weight of a Hugging Face module; None if there is none."""
    if match := _LAYER.fullmatch(module):
        part = _PARTS.get(match["part"])
        return f"blk.{match['layer']}.{part}" if part else None
    if _EMBEDDING.fullmatch(module):
        return "token_embd"
    return "output" if _HEAD.fullmatch(module) else None


def rotated(matrix: str) -> tuple[Literal["q", "k"], int] | None:
    """Whether rotary positions act on what the GGUF `matrix` gives: on queries or keys, and in which layer."""
    match = re.fullmatch(r"blk\.(\d+)\.attn_([qk])", matrix)
    if match is None:
        return None
    return ("q" if match[2] == "q" else "k"), int(match[1])
