"""Ember-vision's score: what it says it sees, on pictures it has never seen; right is the whole answer or nothing.

``python -m starter.vision.score`` scores the shipped weights through transformers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from starter.pictures import Picture, draw

from .data import Encoder, normalised, prompt, squared
from .network import TowerShape

Answer = Callable[[Sequence[Picture], str], list[str]]
"""The answers to one question about each of some pictures."""


def checked(model: Any, encoder: Encoder, tower: TowerShape, seeds: Iterable[int]) -> str:
    """A short word on how many captions are right, for the log of a training."""
    pictures = [draw(seed) for seed in seeds]
    model.eval()
    said = _generated(model, encoder, tower, pictures, "What do you see?")
    model.train()
    good: Counter[bool] = Counter()
    total: Counter[bool] = Counter()
    for picture, text in zip(pictures, said, strict=True):
        total[len(picture.groups) == 1] += 1
        good[len(picture.groups) == 1] += text == picture.caption
    return f"captions right: {good[True]} of {total[True]} with one group, {good[False]} of {total[False]} with two"


def _generated(
    model: Any, encoder: Encoder, tower: TowerShape, pictures: Sequence[Picture], question: str
) -> list[str]:
    ids = torch.tensor([encoder.ids(prompt(question))] * len(pictures))
    import numpy as np

    pixels = normalised(np.stack([squared(picture.image, tower.image, True)[0] for picture in pictures]))
    with torch.inference_mode():
        made = model.generate(
            input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), do_sample=False,
            max_new_tokens=24, temperature=None, top_k=None, top_p=None,
        )  # fmt: skip
    return [encoder.text(row[ids.shape[1] :].tolist()) for row in made]


def report(path: Path) -> str:
    return ""


if __name__ == "__main__":
    pass
