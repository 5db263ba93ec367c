"""Rows as aligned columns of plain text."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from rich.cells import cell_len

from engine.text_safety import plain


def within(rows: Sequence[Sequence[str]], width: int | None, dispensable: Sequence[str]) -> str:
    """`columns` of rows under heads. Where they are wider than `width` cells, those in `dispensable` go, one by one.

    The last column may be cut by the terminal: it is a note. None: there is room for all.
    """
    kept = [list(row) for row in rows]
    for name in dispensable:
        if width is None or _width(kept) <= width:
            break
        place = kept[0].index(name)
        kept = [row[:place] + row[place + 1 :] for row in kept]
    return columns(kept)


def room() -> int | None:
    """Cells of a line of the terminal that is printed to; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _width(rows: Sequence[Sequence[str]]) -> int:
    """Of all columns but the last, where there is one."""
    return sum(max(cell_len(plain(row[place])) for row in rows) + 2 for place in range(len(rows[0]) - 1))


def columns(rows: Sequence[Sequence[str]]) -> str:
    """`rows`, all of one length, with two spaces between columns; nothing behind the last."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(cells[0]))] if cells else []
    lines = (
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)
