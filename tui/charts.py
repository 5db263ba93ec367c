"""Small charts made of characters: areas of dots, sparklines, stacked bars, columns. Text out; knows no widget.

Heights and parts can be told without colour. A value that is not known leaves its place empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
"""Eighths of a cell, from below."""
PARTS = "━╍"
"""What the parts of a bar are drawn with: the first, and every other."""
TRACK = "╌"
_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Bits of the dots of a Braille cell (Unicode 2800 and above): left and right column, each from below."""
DOTS_WIDE, DOTS_HIGH = 2, 4


def area(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """`height` lines of dots, the highest first, filled below a curve of two values a cell.

    `top` reaches the upper edge. What is known shows, if it is 0 as a line of dots on the ground.
    """
    most = height * DOTS_HIGH
    levels = [
        0
        if value is None
        else max(1, min(most, round(most * min(1.0, max(0.0, value) / top))))
        if top > 0
        else 1
        for value in values
    ]
    lines = []
    for row in range(height - 1, -1, -1):
        cells = []
        for place in range(0, len(levels), DOTS_WIDE):
            bits = 0
            for column, level in enumerate(levels[place : place + DOTS_WIDE]):
                for dot in range(min(DOTS_HIGH, max(0, level - DOTS_HIGH * row))):
                    bits |= _DOTS[column][dot]
            cells.append(chr(0x2800 + bits) if bits else " ")
        lines.append("".join(cells))
    return lines


def columns(values: Sequence[float], height: int, top: float = 1.0) -> list[str]:
    """`height` lines of blocks, the highest first, a column a value; one that is 0 stands on the ground."""
    most = height * 8
    eighths = [max(1, min(most, round(most * value / top))) for value in values]
    return [
        "".join(BLOCKS[min(8, max(0, level - 8 * row))] for level in eighths)
        for row in range(height - 1, -1, -1)
    ]


def spark(values: Sequence[float | None], top: float) -> str:
    """A line of blocks, a cell a value, that stays below the line above it."""
    return "".join(
        " "
        if value is None
        else BLOCKS[max(1, min(7, round(7 * min(1.0, max(0.0, value) / top))) if top > 0 else 1)]
        for value in values
    )


def stacked(shares: Sequence[float], width: int) -> list[str]:
    """Pieces of a bar of `width` cells, one for each share of it, and last the track that is left.

    Shares are cut where the bar is full; one that is not 0 has at least a cell as long as there is room.
    """
    pieces: list[str] = []
    used, sum_of = 0, 0.0
    for place, share in enumerate(shares):
        sum_of += max(0.0, share)
        end = min(width, max(round(width * sum_of), used + (share > 0)))
        pieces.append(PARTS[min(place, 1)] * (end - used))
        used = end
    return [*pieces, TRACK * (width - used)]


def resampled(
    points: Iterable[tuple[float, float | None]], start: float, end: float, columns: int, *, hold: float = 0.0
) -> list[float | None]:
    """Means of `points` (moment, value) by column between `start` and `end`.

    A column without a point takes the value before it, if that is no older than `hold`.
    """
    sums, counts = [0.0] * columns, [0] * columns
    step = (end - start) / columns if columns else 1.0
    for moment, value in points:
        place = int((moment - start) / step) if step > 0 else -1
        if value is not None and moment >= start and place <= columns:
            # The last moment belongs to the last column.
            place = min(place, columns - 1)
            sums[place] += value
            counts[place] += 1
    found: list[float | None] = []
    last, empty = None, 0.0
    for total, count in zip(sums, counts, strict=True):
        empty = 0.0 if count else empty + step
        if count:
            last = total / count
        found.append(last if count or empty <= hold else None)
    return found


def ceiling(values: Iterable[float | None], least: float) -> float:
    """A round number that no value passes, at least `least`: 1, 2 or 5 times a power of ten."""
    most = max((value for value in values if value is not None), default=0.0)
    power = 1.0
    while power * 10 <= max(most, least):
        power *= 10
    return max(least, next(power * factor for factor in (1, 2, 5, 10) if power * factor >= most))
