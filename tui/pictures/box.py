"""How many cells a picture takes. Pure arithmetic, known before a pixel is decoded, so that nothing jumps."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

NARROW = 100
"""Cells of a message below which pictures stay small."""
CROWD = 3
"""Pictures of one message from which on they are shown smaller, beside each other."""


@dataclass(frozen=True, slots=True)
class Box:
    """Cells."""

    columns: int
    rows: int


def largest(width: int, count: int) -> Box:
    """The largest box of each of `count` pictures in a message of `width` cells."""
    if width >= NARROW:
        return Box(32, 10) if count >= CROWD else Box(56, 14)
    return Box(max(1, min(width, 24)), 7) if count >= CROWD else Box(max(1, min(width, 40)), 10)


def fitted(pixels: tuple[int, int], most: Box, cell: tuple[int, int] = (10, 20)) -> Box:
    """The box of a picture of `pixels`: its proportions within `most`, and no pixel larger than half a cell."""
    across, down = max(1, pixels[0]), max(1, pixels[1])
    slant = cell[1] / cell[0]
    columns = min(most.columns, across)
    rows = columns * down / across / slant
    tallest = min(most.rows, ceil(down / 2))
    if rows > tallest:
        rows = tallest
        columns = min(columns, max(1, round(rows * slant * across / down)))
    return Box(columns, max(1, min(most.rows, round(rows))))
