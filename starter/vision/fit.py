"""The training loop of ember-vision: time-boxed, resumable, first the tower alone, then all of it.

A tower that only hears whether a sentence was right learns slowly, so it is told more: a head for each patch names
the shape and the colour whose middle lies there, and another tells how many there are of each. The heads are not
part of the model.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from starter.fit import Recipe, optimisers, rate_at
from starter.pictures import COLOURS, MOST, SHAPES

from .data import Batch, Encoder, Pictures, batches, padded


class Heads(nn.Module):
    """What the tower is asked for in training: shape and colour of each patch, and the counts of the picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.shapes = nn.Linear(width, len(SHAPES) + 1)
        self.colours = nn.Linear(width, len(COLOURS) + 1)
        self.counts = nn.Linear(width, (len(SHAPES) + len(COLOURS)) * (MOST + 1))

    def loss(self, features: Tensor, batch: Batch, *, patches: bool = True) -> Tensor:
        """The sum of the cross-entropies for features [batch, patches, width]: counts, and each patch's."""
        features = self.norm(features.float())
        total = features.new_zeros(())
        asked = ((self.shapes, batch.shapes), (self.colours, batch.colours)) if patches else ()
        for head, wanted in asked:
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


class Training:
    """The parts that are trained together, what they read, and the folder of their checkpoints.

    Pictures are drawn when a round asks for its first batch: one that is done costs nothing.
    """

    rows = 48
    """Pictures in a batch."""
    talk_every = 8
    """Every so many batches one is talk without a picture."""

    def __init__(self, model: Any, heads: Heads, encoder: Encoder, work: Path) -> None:
        self._model = model
        self._heads = heads
        self._encoder = encoder
        self._work = work

    def tower(self, pictures: Pictures, minutes: float) -> None:
        """The tower alone, on what the heads ask for."""
        stream = batches(pictures, self._encoder, self.rows, random.Random(11))
        tower = self._model.model.vision_tower

        def step() -> Tensor:
            batch = next(stream)
            return self._heads.loss(features_of(self._model, batch.pixels), batch)

        recipe = Recipe(minutes, seed=11, floor=0.2)
        _run(
            "tower", self._named(tower), {"tower": tower, "heads": self._heads}, step, recipe,
            self._work / "tower.pt",
        )  # fmt: skip

    def everything(
        self,
        title: str,
        pictures: Pictures,
        talk: list[tuple[str, str]],
        recipe: Recipe,
        *,
        heads_weight: float,
        patches: bool,
        watch: Callable[[], str] | None = None,
    ) -> None:
        """Tower, projector and language part together, on questions and answers.

        What the heads ask for counts ``heads_weight``, with or without what they ask of each patch.
        """
        stream = batches(pictures, self._encoder, self.rows, random.Random(recipe.seed))
        talked = self._talks(talk)
        turn = itertools.count()

        def step() -> Tensor:
            if next(turn) % self.talk_every == 0:
                return answer_loss(self._model, *next(talked), None)
            batch = next(stream)
            features = features_of(self._model, batch.pixels)
            loss = answer_loss(self._model, batch.ids, batch.targets, features)
            return loss + heads_weight * self._heads.loss(features, batch, patches=patches)

        modules = {"model": self._model, "heads": self._heads}
        _run(title, self._named(self._model), modules, step, recipe, self._work / f"{title}.pt", watch)

    def _named(self, module: nn.Module) -> list[tuple[str, nn.Parameter]]:
        """The parameters of ``module`` and of the heads, without the closing norm that LLaVA does not use."""
        return [
            *((name, p) for name, p in module.named_parameters() if "post_layernorm" not in name),
            *((f"heads.{name}", p) for name, p in self._heads.named_parameters()),
        ]

    def _talks(self, talk: list[tuple[str, str]]) -> Iterator[tuple[Tensor, Tensor]]:
        rng = random.Random(13)
        while True:
            chosen = [rng.sample(talk, rng.choice((1, 1, 2))) for _ in range(self.rows)]
            yield padded([self._encoder.turns(turns, picture=False) for turns in chosen])
