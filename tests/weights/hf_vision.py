"""Random-weight model folders of the families that see, each in the form in which its makers publish it.

Configuration, weights in float32, ember's tokenizer with the special tokens of the family, its processor's files and a
template that writes a picture as the family's own does. Pictures come to some ten to sixty tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from starter import hf_path
from starter.tokenizer import TEXT_MARKERS

HIDDEN: Final = 64
TEXT: Final[Mapping[str, Any]] = {
    "hidden_size": HIDDEN,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
"""What all language parts have in common; 4096 tokens and the special ones of the family."""
TOWER: Final[Mapping[str, Any]] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
"""A tower of CLIP's or SigLIP's kind."""
_PIXELS: Final[Mapping[str, Any]] = {
    "do_convert_rgb": True,
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
_CHATML: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}PICTURE{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Family(Struct, frozen=True, kw_only=True):
    """What tells one family from the others."""

    config: Mapping[str, Any]
    """Of the whole; the names of special tokens stand for their ids."""
    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    tokens: tuple[str, ...]
    template: str
    pixels: Mapping[str, Any]
    """`preprocessor_config.json`."""
    processor: Mapping[str, Any]
    """`processor_config.json`."""
    named: Mapping[str, str] = {}
    """Special tokens that `tokenizer_config.json` names."""
    words: tuple[str, ...] = ()
    """Further tokens that are plain text."""


_QWEN_TOKENS: Final = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_QWEN: Final = {
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
}
_MROPE: Final = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
_DEEPSTACK: Final = {
    "depth": 3,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 4,
    "out_hidden_size": HIDDEN,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [0, 1],
}
_QWEN_TEMPLATE: Final = _CHATML.replace("PICTURE", "<|vision_start|><|image_pad|><|vision_end|>")


def _qwen(kind: str, processor: str, vision: Mapping[str, Any], patch: int, **text: Any) -> Family:
    side = patch * 2
    return Family(
        config=_QWEN,
        text={"model_type": f"{kind}_text", "rope_parameters": _MROPE, **text},
        vision={"patch_size": patch, "spatial_merge_size": 2, "temporal_patch_size": 2, **vision},
        tokens=_QWEN_TOKENS,
        template=_QWEN_TEMPLATE,
        pixels={
            "image_processor_type": "Qwen2VLImageProcessor",
            "size": {"shortest_edge": 4 * side * side, "longest_edge": 24 * side * side},
            "patch_size": patch,
            "merge_size": 2,
            "temporal_patch_size": 2,
        },
        processor={"processor_class": processor},
    )


_IDEFICS_TEMPLATE: Final = (
    "<|im_start|>{% for message in messages %}{{ message.role | capitalize }}"
    "{% if message.content[0].type == 'image' %}:{% else %}: {% endif %}"
    "{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% elif part.type == 'image' %}<image>{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
_IDEFICS_TOKENS: Final = (
    "<fake_token_around_image>",
    "<image>",
    "<end_of_utterance>",
    "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
)


def _idefics(kind: str, image: str, processor: str) -> Family:
    return Family(
        config={"image_token_id": "<image>", "scale_factor": 2},
        text={"model_type": "llama"},
        vision={**TOWER, "image_size": 32, "patch_size": 4, "model_type": f"{kind}_vision"},
        tokens=_IDEFICS_TOKENS,
        template=_IDEFICS_TEMPLATE,
        pixels={
            "image_processor_type": image,
            "do_resize": True,
            "size": {"longest_edge": 64},
            "max_image_size": {"longest_edge": 32},
            "do_image_splitting": True,
            "do_pad": True,
            "resample": 1,
        },
        processor={"processor_class": processor, "image_seq_len": 16},
    )


_GRID: Final = [[32, 32], [32, 64], [64, 32], [64, 64]]

FAMILIES: Final[Mapping[str, Family]] = {
    "qwen2_vl": _qwen(
        "qwen2_vl",
        "Qwen2VLProcessor",
        {"depth": 2, "embed_dim": 32, "hidden_size": HIDDEN, "num_heads": 4, "mlp_ratio": 2},
        patch=8,
    ),
    "qwen2_5_vl": _qwen(
        "qwen2_5_vl",
        "Qwen2_5_VLProcessor",
        {
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 4,
            "out_hidden_size": HIDDEN,
            "window_size": 32,
            "fullatt_block_indexes": [2],
        },
        patch=8,
    ),
    "qwen3_vl": _qwen(
        "qwen3_vl",
        "Qwen3VLProcessor",
        _DEEPSTACK,
        patch=8,
        rope_parameters={**_MROPE, "mrope_interleaved": True},
    ),
    "qwen3_vl_moe": _qwen(
        "qwen3_vl_moe",
        "Qwen3VLProcessor",
        _DEEPSTACK,
        patch=8,
        rope_parameters={**_MROPE, "mrope_interleaved": True},
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=64,
    ),
    "glm4v": Family(
        config={
            "image_token_id": "<|image|>",
            "video_token_id": "<|video|>",
            "image_start_token_id": "<|begin_of_image|>",
            "image_end_token_id": "<|end_of_image|>",
            "video_start_token_id": "<|begin_of_video|>",
            "video_end_token_id": "<|end_of_video|>",
        },
        text={
            "model_type": "glm4v_text",
            "rope_parameters": {**_MROPE, "partial_rotary_factor": 1.0},
        },
        vision={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 4,
            "out_hidden_size": HIDDEN,
            "image_size": 64,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        tokens=(
            "<|begin_of_image|>",
            "<|image|>",
            "<|end_of_image|>",
            "<|begin_of_video|>",
            "<|video|>",
            "<|end_of_video|>",
            "<|user|>",
            "<|assistant|>",
        ),
        template=(
            "{% for message in messages %}<|{{ message.role }}|>\n"
            "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
            "{% if part.type == 'image' %}<|begin_of_image|><|image|><|end_of_image|>"
            "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
        ),
        pixels={
            "image_processor_type": "Glm4vImageProcessor",
            "size": {"shortest_edge": 1024, "longest_edge": 12288},
            "patch_size": 8,
            "merge_size": 2,
            "temporal_patch_size": 2,
        },
        processor={"processor_class": "Glm4vProcessor"},
    ),
    "gemma3": Family(
        config={
            "boi_token_index": "<start_of_image>",
            "eoi_token_index": "<end_of_image>",
            "image_token_index": "<image_soft_token>",
            "mm_tokens_per_image": 16,
        },
        text={
            "model_type": "gemma3_text",
            # Shorter than a picture, so that half of it lies outside.
            "sliding_window": 10,
            "query_pre_attn_scalar": 16,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        vision={**TOWER, "model_type": "siglip_vision_model", "image_size": 32, "patch_size": 4},
        tokens=("<start_of_image>", "<end_of_image>", "<image_soft_token>", "<start_of_turn>", "<end_of_turn>"),
        words=("\n\n", "\n\n\n", "\n\n\n\n"),
        template=(
            "{{ bos_token }}{% for message in messages %}"
            "<start_of_turn>{{ 'model' if message.role == 'assistant' else message.role }}\n"
            "{% if message.content is string %}{{ message.content | trim }}{% else %}"
            "{% for part in message.content %}{% if part.type == 'image' %}<start_of_image>"
            "{% elif part.type == 'text' %}{{ part.text | trim }}{% endif %}{% endfor %}{% endif %}"
            "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
        ),
        pixels={
            "image_processor_type": "Gemma3ImageProcessor",
            "size": {"height": 32, "width": 32},
            "do_resize": True,
            "do_pan_and_scan": None,
        },
        processor={"processor_class": "Gemma3Processor", "image_seq_length": 16},
        named={
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
            "bos_token": "<|endoftext|>",
        },
    ),
    "paligemma": Family(
        config={"image_token_index": "<image>", "projection_dim": HIDDEN, "hidden_size": HIDDEN},
        text={"model_type": "gemma", "num_image_tokens": 16},
        vision={
            **TOWER,
            "model_type": "siglip_vision_model",
            "image_size": 16,
            "patch_size": 4,
            "vision_use_head": False,
        },
        tokens=("<image>",),
        template="",
        pixels={
            "image_processor_type": "SiglipImageProcessor",
            "size": {"height": 16, "width": 16},
            "image_seq_length": 16,
            "do_resize": True,
        },
        processor={"processor_class": "PaliGemmaProcessor"},
        named={"image_token": "<image>", "bos_token": "<|endoftext|>"},
    ),
    "idefics3": _idefics("idefics3", "Idefics3ImageProcessor", "Idefics3Processor"),
    "smolvlm": _idefics("smolvlm", "SmolVLMImageProcessor", "SmolVLMProcessor"),
    "internvl": Family(
        config={"image_token_id": "<IMG_CONTEXT>", "image_seq_length": 16, "downsample_ratio": 0.5},
        text={"model_type": "qwen2"},
        vision={**TOWER, "model_type": "internvl_vision", "image_size": [32, 32], "patch_size": [4, 4]},
        tokens=("<img>", "</img>", "<IMG_CONTEXT>", "<video>"),
        template=_CHATML.replace("PICTURE", "<IMG_CONTEXT>\n"),
        pixels={
            "image_processor_type": "GotOcr2ImageProcessor",
            "size": {"height": 32, "width": 32},
            "crop_to_patches": True,
            "min_patches": 1,
            "max_patches": 4,
            "do_resize": True,
        },
        processor={"processor_class": "InternVLProcessor", "image_seq_length": 16},
        named={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    ),
    "mistral3": Family(
        config={"image_token_index": "[IMG]", "spatial_merge_size": 2},
        text={"model_type": "mistral", "sliding_window": None},
        vision={
            **TOWER,
            "model_type": "pixtral",
            "image_size": 64,
            "patch_size": 4,
            "head_dim": 8,
        },
        tokens=("[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]"),
        template=(
            "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}[INST]"
            "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
            "{% if part.type == 'image' %}[IMG]{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
            "[/INST]{% else %}{{ message.content }}{{ eos_token }}{% endif %}{% endfor %}"
        ),
        pixels={
            "image_processor_type": "PixtralImageProcessor",
            "size": {"longest_edge": 56},
            "patch_size": {"height": 4, "width": 4},
            "do_resize": True,
        },
        processor={"processor_class": "PixtralProcessor", "patch_size": 4, "spatial_merge_size": 2},
        named={"bos_token": "<|endoftext|>"},
    ),
    "llava_next": Family(
        config={
            "image_token_index": "<image>",
            "image_grid_pinpoints": _GRID[1:],
            "vision_feature_select_strategy": "default",
            "vision_feature_layer": -2,
            "image_seq_length": 16,
        },
        text={"model_type": "llama"},
        vision={**TOWER, "model_type": "clip_vision_model", "image_size": 32, "patch_size": 8},
        tokens=("<image>",),
        template=_CHATML.replace("PICTURE", "<image>\n"),
        pixels={
            "image_processor_type": "LlavaNextImageProcessor",
            "size": {"shortest_edge": 32},
            "crop_size": {"height": 32, "width": 32},
            "image_grid_pinpoints": _GRID[1:],
            "do_resize": True,
            "do_pad": True,
            "do_center_crop": True,
        },
        processor={
            "processor_class": "LlavaNextProcessor",
            "patch_size": 8,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
        },
    ),
    "llava_onevision": Family(
        config={
            "image_token_index": "<image>",
            "video_token_index": "<video>",
            "image_grid_pinpoints": _GRID,
            "vision_aspect_ratio": "anyres_max_9",
        },
        text={"model_type": "qwen2"},
        vision={
            **TOWER,
            "model_type": "siglip_vision_model",
            "image_size": 32,
            "patch_size": 8,
            "vision_use_head": False,
        },
        tokens=("<image>", "<video>"),
        template=_CHATML.replace("PICTURE", "<image>\n"),
        pixels={
            "image_processor_type": "LlavaOnevisionImageProcessor",
            "size": {"height": 32, "width": 32},
            "image_grid_pinpoints": _GRID,
            "do_resize": True,
            "do_pad": True,
        },
        processor={
            "processor_class": "LlavaOnevisionProcessor",
            "num_image_tokens": 16,
            "vision_feature_select_strategy": "full",
        },
    ),
    "lfm2_vl": Family(
        config={"image_token_id": "<image>", "projector_hidden_size": 64, "downsample_factor": 2},
        text={"model_type": "lfm2", "full_attn_idxs": [1], "block_auto_adjust_ff_dim": False},
        vision={**TOWER, "model_type": "siglip2_vision_model", "num_patches": 64, "patch_size": 8},
        tokens=("<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"),
        template=_CHATML.replace("PICTURE", "<image>"),
        pixels={"image_processor_type": "Lfm2VlImageProcessor", "encoder_patch_size": 8},
        processor={"processor_class": "Lfm2VlProcessor"},
    ),
}  # fmt: skip


def write_hf_vision(folder: Path, name: str, *, seed: int = 1, dtype: str = "float32", **text: Any) -> Path:
    """The folder of the family `name`, filled with random weights; `text` changes its language part."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    family = FAMILIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    ids = _write_tokenizer(folder, family)
    config = AutoConfig.for_model(
        name,
        tie_word_embeddings=False,
        **{
            key: ids.get(value, value) if isinstance(value, str) else value
            for key, value in family.config.items()
        },
        text_config={**TEXT, "vocab_size": max(ids.values()) + 1, **family.text, **text},
        vision_config=dict(family.vision),
    )
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(config, dtype=getattr(torch, dtype))
    with torch.no_grad():
        for part, weight in model.named_parameters():
            # Small weights all answer alike, and then nothing hangs on the picture.
            if weight.dim() > 1:
                weight.normal_(0, 1.0 if "embed" in part else 1.5 * weight[0].numel() ** -0.5)
            elif part.endswith("bias"):
                weight.normal_(0, 0.1)
    model.save_pretrained(str(folder))
    _write(folder / "preprocessor_config.json", {**_PIXELS, **family.pixels, **family.processor})
    _write(folder / "processor_config.json", family.processor)
    if family.template:
        (folder / "chat_template.jinja").write_text(family.template, encoding="utf-8")
    return folder


def _write_tokenizer(folder: Path, family: Family) -> dict[str, int]:
    """Ember's tokenizer with the tokens of the family; the ids of these."""
    table = json.loads((hf_path() / "tokenizer.json").read_text(encoding="utf-8"))
    ids: dict[str, int] = {}
    for text in (*family.tokens, *family.words):
        ids[text] = table["model"]["vocab"][text] = len(table["model"]["vocab"])
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        special = text not in family.words
        table["added_tokens"].append({"id": ids[text], "content": text, "special": special, **flags})
    _write(folder / "tokenizer.json", table)
    added = {
        str(token["id"]): {
            **{flag: token[flag] for flag in ("content", "lstrip", "normalized", "rstrip", "single_word")},
            "special": token["special"] and token["content"] not in TEXT_MARKERS,
        }
        for token in table["added_tokens"]
    }
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "added_tokens_decoder": added,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "add_bos_token": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": 2048,
            "extra_special_tokens": {key: value for key, value in family.named.items() if key != "bos_token"},
            **{key: value for key, value in family.named.items() if key == "bos_token"},
        },
    )
    return ids


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
