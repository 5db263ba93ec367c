"""Random-weight GGUF models that see, each with the projector (mmproj) that mtmd reads beside it.

Names of tensors and keys are those of llama.cpp's `clip.cpp`. A picture of a Qwen-VL has positions of its own
(M-RoPE), one of Gemma 3 is seen both ways.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import gguf

from benchmarks.weights import Mark, add_tokenizer, finish
from tests.weights.decoders import tiny_gemma
from tests.weights.noise import Noise

QwenKind = Literal["qwen2vl", "qwen2.5vl", "qwen3vl"]
WIDTH: Final = 64
_MEAN: Final = (0.5, 0.5, 0.5)
QWEN_MARKS: Final = tuple(
    Mark(text)
    for text in ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
)
QWEN_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA_MARKS: Final = tuple(
    Mark(text) for text in ("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>")
)
GEMMA_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content | trim }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<start_of_image>{% else %}{{ part.text | trim }}{% endif %}"
    "{% endfor %}{% endif %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def tiny_qwen_vl(folder: Path, kind: QwenKind, *, seed: int = 0) -> tuple[Path, Path]:
    """A Qwen-VL of this kind and its projector.

    The tower of Qwen2.5-VL looks at windows; that of Qwen3-VL hands features to the first layers too (deepstack).
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"tiny-{kind}.gguf"
    heads, kv_heads, head, hidden, layers = 4, 2, 16, 128, 3
    vocabulary = 258 + len(QWEN_MARKS)
    third = kind == "qwen3vl"
    writer = gguf.GGUFWriter(path, kind if third else "qwen2vl")
    writer.add_name(path.stem)
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e4)
    writer.add_rope_dimension_sections([4, 2, 2, 0])
    if third:
        writer.add_uint32("qwen3vl.n_deepstack_layers", 1)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_tokenizer(writer, vocabulary, QWEN_MARKS)
    writer.add_chat_template(QWEN_TEMPLATE)
    noise = Noise(writer, seed)
    noise.add("token_embd.weight", vocabulary, WIDTH, deviation=1.0)
    noise.add("output.weight", vocabulary, WIDTH, deviation=0.5)
    noise.ones("output_norm.weight", WIDTH)
    for layer in range(layers):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            noise.ones(f"{block}.{norm}.weight", WIDTH)
        for part, count in (("attn_q", heads), ("attn_k", kv_heads), ("attn_v", kv_heads)):
            if third:
                noise.add(f"{block}.{part}.weight", count * head, WIDTH)
            else:
                noise.linear(f"{block}.{part}", count * head, WIDTH)
        if third:
            noise.ones(f"{block}.attn_q_norm.weight", head)
            noise.ones(f"{block}.attn_k_norm.weight", head)
        noise.add(f"{block}.attn_output.weight", WIDTH, heads * head)
        noise.add(f"{block}.ffn_gate.weight", hidden, WIDTH)
        noise.add(f"{block}.ffn_up.weight", hidden, WIDTH)
        noise.add(f"{block}.ffn_down.weight", WIDTH, hidden)
    finish(writer)
    return path, _qwen_projector(folder / f"mmproj-tiny-{kind}.gguf", kind, seed)


def _qwen_projector(path: Path, kind: QwenKind, seed: int) -> Path:
    patch, width, hidden, layers, side = 8, 64, 96, 2, 64
    windows, third = kind == "qwen2.5vl", kind == "qwen3vl"
    writer = _clip(path, f"{kind}_merger", patch, side, width, hidden, layers)
    if windows:
        writer.add_uint32("clip.vision.n_wa_pattern", layers)
        writer.add_uint32("clip.vision.window_size", 32)
        writer.add_vision_use_silu(True)
    else:
        writer.add_vision_use_gelu(True)
    noise = Noise(writer, seed + 1)
    scale = (6 * patch * patch) ** -0.5
    for name in ("v.patch_embd.weight", "v.patch_embd.weight.1"):
        noise.add(name, width, 3, patch, patch, deviation=scale)
    if third:
        noise.add("v.patch_embd.bias", width, deviation=0.1)
        noise.add("v.position_embd.weight", (side // patch) ** 2, width, deviation=0.5)
        noise.layer_norm("v.deepstack.0.norm", 4 * width)
        noise.linear("v.deepstack.0.fc1", 4 * width, 4 * width)
        noise.linear("v.deepstack.0.fc2", WIDTH, 4 * width)
    for layer in range(layers):
        block = f"v.blk.{layer}"
        for norm in ("ln1", "ln2"):
            if windows:
                noise.ones(f"{block}.{norm}.weight", width)
            else:
                noise.layer_norm(f"{block}.{norm}", width)
        if third:
            noise.linear(f"{block}.attn_qkv", 3 * width, width)
        for part in ("attn_out",) if third else ("attn_q", "attn_k", "attn_v", "attn_out"):
            noise.linear(f"{block}.{part}", width, width)
        for part in ("ffn_up", "ffn_gate") if windows else ("ffn_up",):
            noise.linear(f"{block}.{part}", hidden, width)
        noise.linear(f"{block}.ffn_down", width, hidden)
    noise.ones("v.post_ln.weight", width)
    if not windows:
        noise.add("v.post_ln.bias", width, deviation=0.1)
    noise.linear("mm.0", 4 * width, 4 * width)
    noise.linear("mm.2", WIDTH, 4 * width)
    finish(writer)
    return path


def tiny_gemma_vision(folder: Path, *, window: int = 32, seed: int = 0) -> tuple[Path, Path]:
    """A Gemma 3, some of whose layers see a window only, and its projector: sixteen tokens a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    path = tiny_gemma(folder, seed=seed, window=window, marks=GEMMA_MARKS, chat_template=GEMMA_TEMPLATE)
    patch, width, hidden, layers, side = 4, 64, 96, 2, 32
    projector = folder / f"mmproj-tiny-gemma-{seed}.gguf"
    writer = _clip(projector, "gemma3", patch, side, width, hidden, layers)
    writer.add_vision_use_gelu(True)
    writer.add_vision_projector_scale_factor(2)
    noise = Noise(writer, seed + 1)
    noise.add("v.patch_embd.weight", width, 3, patch, patch, deviation=(3 * patch * patch) ** -0.5)
    noise.add("v.patch_embd.bias", width, deviation=0.1)
    noise.add("v.position_embd.weight", (side // patch) ** 2, width, deviation=0.5)
    for layer in range(layers):
        block = f"v.blk.{layer}"
        for norm in ("ln1", "ln2"):
            noise.layer_norm(f"{block}.{norm}", width)
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            noise.linear(f"{block}.{part}", width, width)
        noise.linear(f"{block}.ffn_up", hidden, width)
        noise.linear(f"{block}.ffn_down", width, hidden)
    noise.layer_norm("v.post_ln", width)
    noise.ones("mm.soft_emb_norm.weight", width)
    noise.add("mm.input_projection.weight", width, WIDTH, deviation=width**-0.5)
    finish(writer)
    return path, projector


def _clip(
    path: Path, kind: str, patch: int, side: int, width: int, hidden: int, layers: int
) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name(path.stem)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(kind)
    writer.add_vision_image_size(side)
    writer.add_vision_patch_size(patch)
    writer.add_vision_embedding_length(width)
    writer.add_vision_feed_forward_length(hidden)
    writer.add_vision_block_count(layers)
    writer.add_vision_head_count(4)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_projection_dim(WIDTH)
    writer.add_vision_image_mean(_MEAN)
    writer.add_vision_image_std(_MEAN)
    return writer
