"""Low-rank adapters (Hu et al., 2021) on every matrix of ember's layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .model import Ember


@dataclass(frozen=True)
class LoraShape:
    """Rank, scale numerator and the matrices that are adapted."""

    rank: int = 8
    alpha: int = 16
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraLinear(nn.Module):
    """A frozen matrix plus ``alpha / rank * B A``; starts as the frozen matrix, since B is zero."""

    def __init__(self, base: nn.Linear, shape: LoraShape) -> None:
        super().__init__()
        self.base = base
        self.scale = shape.alpha / shape.rank
        self.lora_A = nn.Parameter(torch.empty(shape.rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, shape.rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` is [..., in_features]; the answer [..., out_features]."""
        return self.base(x) + F.linear(F.linear(x, self.lora_A), self.lora_B) * self.scale


def add_lora(model: Ember, shape: LoraShape) -> None:
    """Freeze ``model`` and wrap its target matrices; only the low-rank matrices stay trainable."""
    model.requires_grad_(False)
    for layer in model.model.layers:
        for block in (layer.self_attn, layer.mlp):
            for name, child in list(block.named_children()):
                if name in shape.targets:
                    setattr(block, name, LoraLinear(child, shape))


def lora_weights(model: Ember) -> dict[str, Tensor]:
    """``<parameter>.lora_A`` and ``.lora_B`` of every wrapped matrix."""
    return {name: p.detach() for name, p in model.named_parameters() if "lora_" in name}
