"""The network of ember-vision: LLaVA (Liu et al., 2023), as transformers has it, in sizes for a CPU.

A vision tower reads the picture in patches, a two-layer projector turns each patch into one token of a small Llama.
Of all that LLaVA allows this takes what llama.cpp's mtmd computes alike: a tower of SigLIP's kind (Zhai et al., 2023),
which has no class token (mtmd puts that of CLIP at the wrong end of the row: ggml-org/llama.cpp issue 25814), the
features of the last layer before the tower's closing norm, and the tanh form of GELU everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from starter.model import ModelShape

GELU = "gelu_pytorch_tanh"


@dataclass(frozen=True)
class TowerShape:
    """Sizes of the vision tower: a square picture of ``image`` pixels a side in patches of ``patch``."""

    image: int = 64
    patch: int = 8
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    ffn: int = 512
    norm_eps: float = 1e-5

    @property
    def tokens(self) -> int:
        """How many tokens a picture takes in the prompt."""
        return (self.image // self.patch) ** 2


@dataclass(frozen=True)
class VisionShape:
    """Sizes of the whole; the last token of the vocabulary is the picture's placeholder."""

    tower: TowerShape = field(default_factory=TowerShape)
    text: ModelShape = field(
        default_factory=lambda: ModelShape(
            vocab_size=4097, hidden=128, layers=3, heads=4, kv_heads=2, ffn=256
        )
    )


def config_of(shape: VisionShape, *, eos: int, pad: int) -> Any:
    """The ``LlavaConfig`` of these sizes."""
    from transformers import LlamaConfig, LlavaConfig, SiglipVisionConfig

    tower, text = shape.tower, shape.text
    return LlavaConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=tower.hidden,
            intermediate_size=tower.ffn,
            num_hidden_layers=tower.layers,
            num_attention_heads=tower.heads,
            image_size=tower.image,
            patch_size=tower.patch,
            vision_use_head=False,
            layer_norm_eps=tower.norm_eps,
            hidden_act=GELU,
        ),
        text_config=LlamaConfig(
            vocab_size=text.vocab_size,
            hidden_size=text.hidden,
            intermediate_size=text.ffn,
            num_hidden_layers=text.layers,
            num_attention_heads=text.heads,
            num_key_value_heads=text.kv_heads,
            head_dim=text.head_dim,
            max_position_embeddings=text.context,
            rms_norm_eps=text.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": text.rope_theta},
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=eos,
            pad_token_id=pad,
        ),
        image_token_index=text.vocab_size - 1,
        image_seq_length=tower.tokens,
        projector_hidden_act=GELU,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )


def new_model(shape: VisionShape, *, eos: int, pad: int, seed: int = 1) -> nn.Module:
    """A ``LlavaForConditionalGeneration`` with fresh weights, in float32."""
    from transformers import LlavaForConditionalGeneration

    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(config_of(shape, eos=eos, pad=pad)).float()
    deep = 0.02 / (2 * shape.text.layers) ** 0.5
    for name, weight in model.named_parameters():
        if "language_model" in name and weight.dim() == 2:
            nn.init.normal_(
                weight, std=deep if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
            )
    return model
