"""From pictures to training batches: pixels as the model sees them, tokens, and what is where in the picture."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from starter.pictures import COLOURS, SHAPES, Group, Picture, combinations, draw

from .export import DEVIATION, IMAGE_TOKEN, MEAN
from .network import TowerShape
from .questions import asked

if TYPE_CHECKING:
    from PIL.Image import Image

TRAIN_SEEDS = 10_000_000
"""Training draws the pictures of this seed and those after it."""
CHECK_SEEDS = 5_000_000
"""From here are the pictures that are looked at while training; the score has those from 0."""
UNSEEN = frozenset(
    group
    for group in combinations()
    if (7 * SHAPES.index(group.shape) + 3 * list(COLOURS).index(group.colour) + 2 * group.count) % 10 == 0
)
"""The 24 combinations of shape, colour and number that no training picture holds."""
_PAD = tuple(int(part * 255) for part in MEAN)


@dataclass(frozen=True)
class Seen:
    """One picture for training: pixels [side, side, 3], for each patch the shape and the colour whose middle is
    there (0 for none), and how many there are of each shape and each colour."""

    pixels: NDArray[np.uint8]
    shapes: NDArray[np.int64]
    colours: NDArray[np.int64]
    counts: NDArray[np.int64]
    turns: list[tuple[str, str]]


def squared(image: Image, side: int, pad_first: bool) -> tuple[NDArray[np.uint8], float, float, float]:
    """``image`` padded to a square of ``side`` pixels, and scale and offsets of its points in that.

    ``pad_first`` is how transformers does it; mtmd sizes first, which differs where picture and padding meet.
    """
    from PIL import Image as Images

    width, height = image.size
    long = max(width, height)
    if pad_first:
        square = Images.new("RGB", (long, long), _PAD)
        left, top = (long - width) // 2, (long - height) // 2
        square.paste(image, (left, top))
        square = square.resize((side, side), Images.Resampling.BICUBIC)
        scale = side / long
        return np.asarray(square), scale, left * scale, top * scale
    scale = side / long
    wide, high = min(side, math.ceil(width * scale)), min(side, math.ceil(height * scale))
    square = Images.new("RGB", (side, side), _PAD)
    left, top = (side - wide) // 2, (side - high) // 2
    square.paste(image.resize((wide, high), Images.Resampling.BICUBIC), (left, top))
    return np.asarray(square), scale, left, top


def seen(picture: Picture, tower: TowerShape, rng: random.Random) -> Seen:
    """What training takes from ``picture``."""
    pixels, scale, left, top = squared(picture.image, tower.image, rng.random() < 0.5)
    across = tower.image // tower.patch
    shapes, colours = np.zeros(across**2, np.int64), np.zeros(across**2, np.int64)
    names = list(COLOURS)
    for each in picture.shapes:
        column, row = int((each.x * scale + left) / tower.patch), int((each.y * scale + top) / tower.patch)
        place = min(row, across - 1) * across + min(column, across - 1)
        shapes[place] = SHAPES.index(each.shape) + 1
        colours[place] = names.index(each.colour) + 1
    counts = np.zeros(len(SHAPES) + len(names), np.int64)
    for group in picture.groups:
        counts[SHAPES.index(group.shape)] += group.count
        counts[len(SHAPES) + names.index(group.colour)] += group.count
    return Seen(pixels, shapes, colours, counts, asked(picture, rng, rng.randint(1, 3)))


def trained(groups: tuple[Group, ...]) -> bool:
    """Whether a picture of ``groups`` may be trained on."""
    return not UNSEEN.intersection(groups)


def drawn(count: int, tower: TowerShape, start: int = TRAIN_SEEDS, two: float = 0.25) -> list[Seen]:
    """``count`` training pictures, of the seeds from ``start`` on that hold no unseen combination.

    A share ``two`` of them shows two kinds of shapes.
    """
    found: list[Seen] = []
    seed = start
    while len(found) < count:
        picture = draw(seed, groups=1 + (random.Random(f"kinds {seed}").random() < two))
        if trained(picture.groups):
            found.append(seen(picture, tower, random.Random(seed)))
        seed += 1
    return found


def prompt(question: str, picture: bool = True) -> str:
    """A user's turn, as the chat template writes it."""
    return f"<|im_start|>user\n{IMAGE_TOKEN if picture else ''}{question}<|im_end|>\n<|im_start|>assistant\n"


class Encoder:
    """Turns of questions and answers as ids and targets; a placeholder becomes as many tokens as a picture takes."""

    def __init__(self, tokenizer: Tokenizer, tower: TowerShape) -> None:
        self._tokenizer = tokenizer
        self._image = tokenizer.token_to_id(IMAGE_TOKEN)
        self._tokens = tower.tokens
        self._known: dict[str, list[int]] = {}

    def ids(self, text: str) -> list[int]:
        """The ids of ``text``."""
        if text not in self._known:
            plain = self._tokenizer.encode(text, add_special_tokens=False).ids
            full: list[int] = []
            for token in plain:
                full += [token] * (self._tokens if token == self._image else 1)
            self._known[text] = full
        return self._known[text]

    def text(self, ids: list[int]) -> str:
        """What ``ids`` say, without control tokens."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def turns(self, turns: list[tuple[str, str]], picture: bool) -> tuple[list[int], list[int]]:
        """Ids and, for each, the token that follows it in an answer, else -1."""
        ids: list[int] = []
        learned: list[bool] = []
        for number, (question, answer) in enumerate(turns):
            before = self.ids(("\n" if number else "") + prompt(question, picture and number == 0))
            after = self.ids(f"{answer}<|im_end|>")
            ids += before + after
            learned += [False] * len(before) + [True] * len(after)
        targets = [token if counts else -1 for token, counts in zip(ids[1:], learned[1:], strict=True)]
        return ids[:-1], targets


def padded(rows: list[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor]:
    """Rows of like kind as two tensors [rows, time], padded on the right."""
    time = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), time, dtype=torch.long)
    targets = torch.full((len(rows), time), -1, dtype=torch.long)
    for place, (row, wanted) in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        targets[place, : len(row)] = torch.tensor(wanted)
    return ids, targets


def normalised(pixels: NDArray[np.uint8]) -> Tensor:
    """Pixels [batch, side, side, 3] in 0…255 as the tower takes them: [batch, 3, side, side]."""
    scaled = torch.from_numpy(pixels).float() / 255
    return ((scaled - torch.tensor(MEAN)) / torch.tensor(DEVIATION)).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Batch:
    """Pictures with their questions: ids and targets [batch, time], and what is where."""

    pixels: Tensor
    ids: Tensor
    targets: Tensor
    shapes: Tensor
    colours: Tensor
    counts: Tensor


Pictures = Callable[[], list[Seen]]
"""Pictures that are drawn when they are asked for."""


def batches(pictures: Pictures, encoder: Encoder, size: int, rng: random.Random) -> Iterator[Batch]:
    """Endless batches of ``size`` pictures, half of them mirrored; they are drawn at the first."""
    data = pictures()
    while True:
        order = list(range(len(data)))
        rng.shuffle(order)
        for start in range(0, len(order) - size + 1, size):
            rows = [data[index] for index in order[start : start + size]]
            pixels = np.stack([row.pixels for row in rows])
            shapes = np.stack([row.shapes for row in rows])
            colours = np.stack([row.colours for row in rows])
            across = math.isqrt(shapes.shape[1])
            if rng.random() < 0.5:
                pixels = pixels[:, :, ::-1].copy()
                shapes, colours = (
                    grid.reshape(-1, across, across)[:, :, ::-1].reshape(shapes.shape).copy()
                    for grid in (shapes, colours)
                )
            ids, targets = padded([encoder.turns(row.turns, picture=True) for row in rows])
            yield Batch(
                normalised(pixels),
                ids,
                targets,
                torch.from_numpy(shapes),
                torch.from_numpy(colours),
                torch.from_numpy(np.stack([row.counts for row in rows])),
            )
