"""The training loop: time-boxed, resumable, used for the base model and for adapters alike."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .data import Example, batches
from .model import Ember


@dataclass(frozen=True)
class Recipe:
    """How one training is run. ``minutes`` is wall time; the learning rate follows a cosine over it."""

    minutes: float
    tokens_per_batch: int = 4096
    matrix_rate: float = 0.02
    other_rate: float = 3e-3
    warmup: float = 0.02
    floor: float = 0.02
    seed: int = 1


def rate_at(progress: float, recipe: Recipe) -> float:
    """Factor on the learning rates at ``progress`` in 0…1: linear warm-up, then a cosine to the floor."""
    if progress < recipe.warmup:
        return max(progress / recipe.warmup, 0.01)
    done = min(1.0, (progress - recipe.warmup) / (1 - recipe.warmup))
    return recipe.floor + (1 - recipe.floor) * 0.5 * (1 + math.cos(math.pi * done))


def optimisers(parameters: Iterable[tuple[str, nn.Parameter]], recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon (Jordan, 2024) for the inner matrices; AdamW for embedding, norms and low-rank matrices.

    Muon needs fewer steps, and steps are what a CPU is short of.
    """
    named = list(parameters)
    inner = [p for name, p in named if p.dim() == 2 and "layers" in name and "lora" not in name]
    chosen = {id(p) for p in inner}
    rest = [p for _, p in named if id(p) not in chosen]
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=recipe.other_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    ]
    if inner:
        found.append(torch.optim.Muon(inner, lr=recipe.matrix_rate, weight_decay=0.01, momentum=0.95))
    return found


def fit(model: Ember, data: list[Example], recipe: Recipe, checkpoint: Path, title: str) -> int:
    """Train the parameters of ``model`` that require gradients; returns the tokens read.

    A ``checkpoint`` that exists is continued; it is written every two minutes and at the end. Progress
    goes to stdout, one line every fifteen seconds.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    parts = optimisers(named, recipe)
    base_rates = [part.param_groups[0]["lr"] for part in parts]
    spent, step, seen = 0.0, 0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["weights"], strict=False)
        for part, saved in zip(parts, state["optimisers"], strict=True):
            part.load_state_dict(saved)
        spent, step, seen = state["spent"], state["step"], state["seen"]
    stream = batches(data, recipe.tokens_per_batch, random.Random(recipe.seed + step))
    began = time.monotonic() - spent
    last_print = last_save = time.monotonic()
    while (spent := time.monotonic() - began) < recipe.minutes * 60:
        factor = rate_at(spent / (recipe.minutes * 60), recipe)
        for part, rate in zip(parts, base_rates, strict=True):
            part.param_groups[0]["lr"] = rate * factor
        loss = _step(model, stream, named, parts)
        step += 1
        seen += loss[1]
        now = time.monotonic()
        if now - last_print > 15:
            left, pace = recipe.minutes - spent / 60, seen / max(spent, 1)
            so_far = f"step {step}, loss {loss[0]:.3f}, {seen / 1e6:.2f} M tokens"
            print(f"{title}: {so_far}, {pace:.0f} tokens/s, {left:.1f} min left", flush=True)
            last_print = now
        if now - last_save > 120:
            _save(checkpoint, named, parts, spent, step, seen)
            last_save = now
    _save(checkpoint, named, parts, recipe.minutes * 60, step, seen)
    return seen


def _step(
    model: Ember,
    stream: Iterator[tuple[Tensor, Tensor]],
    named: list[tuple[str, nn.Parameter]],
    parts: list[torch.optim.Optimizer],
) -> tuple[float, int]:
    ids, targets = next(stream)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(ids, targets)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
    for part in parts:
        part.step()
        part.zero_grad()
    return loss.item(), ids.numel()


def _save(
    path: Path,
    named: list[tuple[str, nn.Parameter]],
    parts: list[torch.optim.Optimizer],
    spent: float,
    step: int,
    seen: int,
) -> None:
    state = {
        "weights": {name: p.detach() for name, p in named},
        "optimisers": [part.state_dict() for part in parts],
        "spent": spent, "step": step, "seen": seen,
    }  # fmt: skip
    fresh = path.with_suffix(".new")
    torch.save(state, fresh)
    fresh.replace(path)
