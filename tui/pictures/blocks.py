"""A picture in blocks of colour: each cell is two pixels, one over the other. Works in every terminal with colours."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from textual.color import Color
from textual.content import Content, Span
from textual.style import Style

if TYPE_CHECKING:
    from PIL import Image

SEEN = 128
"""Alpha from which a pixel is drawn; of what is below, the screen shows."""
Pixel = tuple[int, int, int, int]


def half_blocks(image: Image.Image) -> tuple[Content, ...]:
    """Rows of `image.width` cells for an RGBA image, half as many as it has lines (an odd last one is alone)."""
    width, height = image.size
    data = image.tobytes()
    lines = [
        [_pixel(data, (y * width + x) * 4) for x in range(width)] if y < height else [_NONE] * width
        for y in range(height + height % 2)
    ]
    return tuple(_row(upper, lower) for upper, lower in zip(lines[::2], lines[1::2], strict=True))


_NONE: Pixel = (0, 0, 0, 0)


def _pixel(data: bytes, at: int) -> Pixel:
    red, green, blue, alpha = data[at : at + 4]
    return (red, green, blue, 255) if alpha >= SEEN else _NONE


def _row(upper: list[Pixel], lower: list[Pixel]) -> Content:
    text: list[str] = []
    spans: list[Span] = []
    at = 0
    for (above, below), run in groupby(zip(upper, lower, strict=True)):
        count = sum(1 for _ in run)
        character, style = _cell(above, below)
        text.append(character * count)
        if style is not None:
            spans.append(Span(at, at + count, style))
        at += count
    return Content("".join(text), spans)


def _cell(above: Pixel, below: Pixel) -> tuple[str, Style | None]:
    if above == below:
        return (" ", Style(background=_colour(above))) if above[3] else (" ", None)
    if not above[3]:
        return "▄", Style(foreground=_colour(below))
    if not below[3]:
        return "▀", Style(foreground=_colour(above))
    return "▀", Style(background=_colour(below), foreground=_colour(above))


def _colour(pixel: Pixel) -> Color:
    return Color(*pixel[:3])
