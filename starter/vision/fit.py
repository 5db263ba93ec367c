"""The training loop of ember-vision: time-boxed, resumable, first the tower alone, then all of it.

A tower that only hears whether a sentence was right learns slowly, so it is told more: a head for each patch names
the shape and the colour whose middle lies there, and another tells how many there are of each. The heads are not
part of the model.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from starter.fit import Recipe, optimisers, rate_at
from starter.pictures import COLOURS, MOST, SHAPES

from .data import Batch, Encoder, Seen, batches, padded


class Heads(nn.Module):
    """What the tower is asked for in training: shape and colour of each patch, and the counts of the picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.shapes = nn.Linear(width, len(SHAPES) + 1)
        self.colours = nn.Linear(width, len(COLOURS) + 1)
        self.counts = nn.Linear(width, (len(SHAPES) + len(COLOURS)) * (MOST + 1))

    def loss(self, features: Tensor, batch: Batch) -> Tensor:
        """The sum of three cross-entropies for features [batch, patches, width]."""
        features = self.norm(features.float())
        total = features.new_zeros(())
        for head, wanted in ((self.shapes, batch.shapes), (self.colours, batch.colours)):
            scores = head(features).float().flatten(0, 1)
            # Nearly all patches are empty.
            weights = torch.ones(scores.shape[1])
            weights[0] = 0.2
            total = total + F.cross_entropy(scores, wanted.flatten(), weight=weights)
        counts = self.counts(features.mean(1)).float().view(-1, MOST + 1)
        return total + F.cross_entropy(counts, batch.counts.flatten())


def features_of(model: Any, pixels: Tensor) -> Tensor:
    """The tower's features [batch, patches, width], as the projector takes them."""
    tower = model.model.vision_tower(pixels, output_hidden_states=True)
    features: Tensor = tower.hidden_states[-1]
    return features


def answer_loss(model: Any, ids: Tensor, targets: Tensor, features: Tensor | None) -> Tensor:
    """Mean cross-entropy of the targets that are not negative; both tensors are [batch, time]."""
    embedded = model.model.language_model.embed_tokens(ids)
    if features is not None:
        tokens = model.model.multi_modal_projector(features).to(embedded.dtype)
        embedded = embedded.masked_scatter(
            (ids == model.config.image_token_index).unsqueeze(-1).expand_as(embedded), tokens
        )
    hidden = model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    counted = targets >= 0
    return F.cross_entropy(model.lm_head(hidden[counted]).float(), targets[counted])


@dataclass(frozen=True)
class Plan:
    """How long each part is trained, in minutes of wall time, and on how many pictures at once."""

    tower_minutes: float = 10
    minutes: float = 40
    rows: int = 48
    talk_every: int = 8
    heads_weight: float = 0.3


def _run(
    title: str,
    parts: list[tuple[str, nn.Parameter]],
    modules: dict[str, nn.Module],
    step: Callable[[], Tensor],
    recipe: Recipe,
    checkpoint: Path,
    watch: Callable[[], str] | None = None,
) -> None:
    """Repeat ``step`` for the time of ``recipe``; a checkpoint that exists is continued."""
    torch.manual_seed(recipe.seed)
    steppers = optimisers(parts, recipe)
    base = [each.param_groups[0]["lr"] for each in steppers]
    spent, steps = 0.0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        for name, module in modules.items():
            module.load_state_dict(state[name])
        for each, saved in zip(steppers, state["optimisers"], strict=True):
            each.load_state_dict(saved)
        spent, steps = state["spent"], state["steps"]

    def save() -> None:
        fresh = checkpoint.with_suffix(".new")
        states = {name: module.state_dict() for name, module in modules.items()}
        torch.save(
            {
                **states,
                "optimisers": [each.state_dict() for each in steppers],
                "spent": spent,
                "steps": steps,
            },
            fresh,
        )
        fresh.replace(checkpoint)

    seconds = recipe.minutes * 60
    began = time.monotonic() - spent
    printed = saved_at = watched = time.monotonic()
    average = 0.0
    while (spent := time.monotonic() - began) < seconds:
        factor = rate_at(spent / seconds, recipe)
        for each, rate in zip(steppers, base, strict=True):
            each.param_groups[0]["lr"] = rate * factor
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = step()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in parts if p.grad is not None], 1.0)
        for each in steppers:
            each.step()
            each.zero_grad()
        steps += 1
        average = loss.item() if not average else 0.98 * average + 0.02 * loss.item()
        now = time.monotonic()
        if now - printed > 15:
            print(
                f"{title}: step {steps}, loss {average:.3f}, {(seconds - spent) / 60:.1f} min left",
                flush=True,
            )
            printed = now
        if now - saved_at > 120:
            save()
            saved_at = now
        if watch is not None and now - watched > 240:
            print(f"{title}: {watch()}", flush=True)
            watched = time.monotonic()
    spent = seconds
    save()


def train_tower(model: Any, heads: Heads, data: list[Seen], encoder: Encoder, plan: Plan, work: Path) -> None:
    """The tower alone, on what the heads ask for."""
    stream = batches(data, encoder, plan.rows, random.Random(11))
    tower = model.model.vision_tower
    named = [
        *((f"tower.{name}", p) for name, p in tower.named_parameters() if "post_layernorm" not in name),
        *((f"heads.{name}", p) for name, p in heads.named_parameters()),
    ]

    def step() -> Tensor:
        batch = next(stream)
        return heads.loss(features_of(model, batch.pixels), batch)

    recipe = Recipe(plan.tower_minutes, seed=11, floor=0.2)
    _run("tower", named, {"tower": tower, "heads": heads}, step, recipe, work / "tower.pt")


def train_all(
    model: Any,
    heads: Heads,
    data: list[Seen],
    talk: list[tuple[str, str]],
    encoder: Encoder,
    plan: Plan,
    work: Path,
    watch: Callable[[], str] | None = None,
) -> None:
    """Tower, projector and language part together, on questions and answers; now and then talk without a picture."""
    stream = batches(data, encoder, plan.rows, random.Random(12))
    talked = _talks(talk, encoder, plan.rows)
    named = [
        *((name, p) for name, p in model.named_parameters() if "post_layernorm" not in name),
        *((f"heads.{name}", p) for name, p in heads.named_parameters()),
    ]
    turn = iter(range(10**9))

    def step() -> Tensor:
        if next(turn) % plan.talk_every == 0:
            return answer_loss(model, *next(talked), None)
        batch = next(stream)
        features = features_of(model, batch.pixels)
        loss = answer_loss(model, batch.ids, batch.targets, features)
        return loss + plan.heads_weight * heads.loss(features, batch)

    modules = {"model": model, "heads": heads}
    _run("all", named, modules, step, Recipe(plan.minutes, seed=12), work / "all.pt", watch)


def _talks(talk: list[tuple[str, str]], encoder: Encoder, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    rng = random.Random(13)
    while True:
        chosen = [rng.sample(talk, rng.choice((1, 1, 2))) for _ in range(rows)]
        yield padded([encoder.turns(turns, picture=False) for turns in chosen])
