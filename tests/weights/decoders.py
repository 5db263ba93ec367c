"""Models that write, over a KV cache: Llama, with or without the marks of a chat, and Gemma with its windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
from msgspec.structs import replace

from benchmarks.weights import Llama, Mark, add_tokenizer, finish, write_adapter, write_llama
from tests.weights.marks import CHAT_MARKS, CHAT_TEMPLATE, INFILL_MARKS
from tests.weights.noise import Noise

TINY = Llama()


def tiny_llama(
    folder: Path,
    *,
    seed: int = 0,
    chat_template: str | None = None,
    marks: Sequence[Mark] = (),
    context: int = TINY.context,
) -> Path:
    """A model of some 100,000 parameters and a vocabulary of 256 bytes, the marks, `<|bos|>` and `<|eos|>`."""
    shape = replace(TINY, vocabulary=TINY.vocabulary + len(marks), context=context)
    return write_llama(
        folder / f"tiny-{seed}.gguf", shape, seed=seed, chat_template=chat_template, marks=marks
    )


def tiny_chat(
    folder: Path,
    *,
    seed: int = 0,
    chat_template: str | None = CHAT_TEMPLATE,
    marks: Sequence[Mark] = CHAT_MARKS + INFILL_MARKS,
    context: int = 2048,
) -> Path:
    """`tiny_llama` as a chat and code model: tools, thinking and fill-in-the-middle in real tokens."""
    return tiny_llama(folder, seed=seed, chat_template=chat_template, marks=marks, context=context)


def tiny_adapter(folder: Path, *, seed: int = 1) -> Path:
    """A LoRA adapter that fits `tiny_llama`, strong enough to change what it says."""
    return write_adapter(folder / f"tiny-adapter-{seed}.gguf", TINY, seed=seed)


def tiny_gemma(
    folder: Path,
    *,
    seed: int = 0,
    window: int = 32,
    slides: Sequence[bool] = (True, False, True, False),
    marks: Sequence[Mark] = (),
    chat_template: str | None = None,
) -> Path:
    """A Gemma 3; `slides` says of each layer whether it sees only the last `window` tokens, or all."""
    path = folder / f"tiny-gemma-{seed}.gguf"
    width, heads, kv_heads, head, hidden, vocabulary = 64, 4, 2, 16, 128, 258 + len(marks)
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_name("tiny-gemma")
    writer.add_context_length(4096)
    writer.add_embedding_length(width)
    writer.add_block_count(len(slides))
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_sliding_window(window)
    writer.add_sliding_window_pattern(list(slides))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_tokenizer(writer, vocabulary, marks)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    noise = Noise(writer, seed)
    # The model multiplies its embeddings by the root of their width.
    noise.add("token_embd.weight", vocabulary, width)
    noise.add("output.weight", vocabulary, width, deviation=0.5)
    noise.ones("output_norm.weight", width)
    for layer in range(len(slides)):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            noise.ones(f"{block}.{norm}.weight", width)
        noise.ones(f"{block}.attn_q_norm.weight", head)
        noise.ones(f"{block}.attn_k_norm.weight", head)
        noise.add(f"{block}.attn_q.weight", heads * head, width)
        noise.add(f"{block}.attn_k.weight", kv_heads * head, width)
        noise.add(f"{block}.attn_v.weight", kv_heads * head, width)
        noise.add(f"{block}.attn_output.weight", width, heads * head)
        noise.add(f"{block}.ffn_gate.weight", hidden, width)
        noise.add(f"{block}.ffn_up.weight", hidden, width)
        noise.add(f"{block}.ffn_down.weight", width, hidden)
    finish(writer)
    return path
