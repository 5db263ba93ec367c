"""BERT, which reads in both directions and writes nothing: as an embedding model and with a ranking head."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Literal

import gguf

from benchmarks.weights import finish
from tests.weights.noise import Noise

_WIDTH, _HEADS, _HIDDEN, _LAYERS = 64, 4, 128, 2
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = tuple("the hearth is warm and fire burns cold night snow falls what how where who".split())
"""Words that are one token; all others are read by their letters, and capitals as small ones."""


def tiny_bert(
    folder: Path, *, seed: int = 0, pooling: Literal["mean", "cls"] = "mean", context: int = 512
) -> Path:
    """An embedding model of 64 numbers a vector."""
    path = folder / f"tiny-bert-{pooling}-{seed}.gguf"
    kind = {"mean": gguf.PoolingType.MEAN, "cls": gguf.PoolingType.CLS}[pooling]
    writer, _ = _bert(path, seed, kind, context)
    finish(writer)
    return path


def tiny_cross_encoder(folder: Path, *, seed: int = 0, context: int = 512) -> Path:
    """A model that reads a query and a document together and gives one score."""
    path = folder / f"tiny-cross-encoder-{seed}.gguf"
    writer, noise = _bert(path, seed, gguf.PoolingType.RANK, context)
    noise.linear("cls", _WIDTH, _WIDTH)
    noise.linear("cls.output", 1, _WIDTH)
    finish(writer)
    return path


def _bert(path: Path, seed: int, pooling: gguf.PoolingType, context: int) -> tuple[gguf.GGUFWriter, Noise]:
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name(path.stem)
    writer.add_context_length(context)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_HIDDEN)
    writer.add_head_count(_HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(pooling)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    vocabulary = _add_word_pieces(writer)
    noise = Noise(writer, seed)
    noise.add("token_embd.weight", vocabulary, _WIDTH, deviation=1.0)
    noise.add("position_embd.weight", context, _WIDTH, deviation=0.3)
    noise.add("token_types.weight", 2, _WIDTH, deviation=0.3)
    noise.layer_norm("token_embd_norm", _WIDTH)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            noise.linear(f"{block}.{name}", _WIDTH, _WIDTH)
        noise.layer_norm(f"{block}.attn_output_norm", _WIDTH)
        noise.linear(f"{block}.ffn_up", _HIDDEN, _WIDTH)
        noise.linear(f"{block}.ffn_down", _WIDTH, _HIDDEN)
        noise.layer_norm(f"{block}.layer_output_norm", _WIDTH)
    return writer, noise


def _add_word_pieces(writer: gguf.GGUFWriter) -> int:
    """A WordPiece vocabulary as llama.cpp keeps it: `▁` opens a word, what goes on in one is bare."""
    letters = string.ascii_lowercase + string.digits
    tokens = [*_SPECIAL, *(f"▁{each}" for each in (*WORDS, *letters, *string.punctuation)), *letters]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control] * len(_SPECIAL) + [normal] * (len(tokens) - len(_SPECIAL)))
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    writer.add_token_type_count(2)
    return len(tokens)
