"""Rows as aligned columns of plain text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from engine.text_safety import plain


def columns(rows: Sequence[Sequence[str]]) -> str:
    """`rows`, all of one length, with two spaces between columns; nothing behind the last."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(cells[0]))] if cells else []
    lines = (
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)
