"""One bar of what is free, filled with what would be taken: weights, keys and values, buffers.

Each part has a pattern of its own beside its colour, so that the bar can be read without colours.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

PARTS: tuple[tuple[str, str, str], ...] = (
    ("weights", "█", "$primary"),
    ("KV", "▓", "$accent"),
    ("buffers", "▒", "$secondary"),
    ("process", "░", "$muted"),
)
"""Label, pattern and colour of each part, in the order in which they are drawn."""
REST = "╌"


def fit_bar(parts: Sequence[int], free: int, width: int) -> Content:
    """`width` cells that stand for `free` bytes; `parts` are the bytes of weights, KV, buffers and process.

    What is more than there is makes a bar of which nothing is left, with a mark at its end.
    """
    total = sum(parts)
    if not total or width < 4:
        return Content("")
    over = 0 < free < total
    cells = width - 1 if over else width
    pieces: list[tuple[str, str]] = []
    drawn = before = 0
    for size, (_, pattern, colour) in zip(parts, PARTS, strict=False):
        before += size
        until = round(cells * before / max(free, total))
        pieces.append((pattern * (until - drawn), colour))
        drawn = max(drawn, until)
    pieces.append(("!", "bold $text-error") if over else (REST * (cells - drawn), "$muted"))
    return Content.assemble(*pieces)


def legend(parts: Sequence[int]) -> Content:
    """What the patterns stand for, those of `parts` that are there."""
    pieces: list[str | tuple[str, str]] = []
    for size, (label, pattern, colour) in zip(parts, PARTS, strict=False):
        if size:
            pieces += [(f"{pattern} ", colour), (f"{label}  ", "$muted")]
    return Content.assemble(*pieces)
