"""Markdown tables to rows: column widths that fit, cells wrapped, alignment kept.

`draw_table` lays a finished table out; `GrowingTable` draws rows one by one while more may come, with
columns that only widen for later rows, so no row is drawn twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui.stream.inline import References, render_inline
from tui.stream.lines import wrap_content
from tui.stream.splitter import table_cells

_DIM = "$foreground-muted"
_SEPARATOR = " │ "
_NARROWEST = 3

Row = tuple[Content, str]


def draw_table(lines: Sequence[str], width: int, references: References | None = None) -> list[Row]:
    """Rows of a whole table. `lines` are the header, the delimiter row, then the body."""
    header = table_cells(lines[0])
    aligns = [_alignment(cell) for cell in table_cells(lines[1])] if len(lines) > 1 else []
    count = len(header)
    body = [_fitted(table_cells(line), count) for line in lines[2:]]
    cells = [[render_inline(cell, references, "bold") for cell in header]]
    cells += [[render_inline(cell, references) for cell in row] for row in body]
    natural = [max(_cells(row[index]) for row in cells) for index in range(count)]
    widths = fit_columns(natural, width - len(_SEPARATOR) * (count - 1))
    rows = _draw_row(cells[0], widths, aligns)
    rows.append(_ruler(widths))
    for row in cells[1:]:
        rows += _draw_row(row, widths, aligns)
    return rows


class GrowingTable:
    """Draws the rows of a table that is still being written, each once."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._widths: list[int] = []
        self._aligns: list[str] = []

    def draw(self, line: str, index: int) -> list[Row]:
        """The rows of the table's line number `index` (0 the header, 1 the delimiter row)."""
        if index == 1:
            self._aligns = [_alignment(cell) for cell in table_cells(line)]
            return [_ruler(self._widths)]
        texts = table_cells(line)
        if index == 0:
            self._widths = [_NARROWEST] * len(texts)
        cells = [
            render_inline(cell, None, "" if index else "bold") for cell in _fitted(texts, len(self._widths))
        ]
        share = (self._width - len(_SEPARATOR) * (len(cells) - 1)) // max(1, len(cells))
        limit = max(_NARROWEST, share)
        self._widths = [
            max(known, min(limit, _cells(cell))) for known, cell in zip(self._widths, cells, strict=True)
        ]
        return _draw_row(cells, self._widths, self._aligns)


def fit_columns(natural: Sequence[int], available: int) -> list[int]:
    """Column widths in cells: the natural ones if they fit, else the widest are levelled down."""
    widths = [max(_NARROWEST, width) for width in natural]
    available = max(available, _NARROWEST * len(widths))
    if sum(widths) <= available:
        return widths
    low, high = _NARROWEST, max(widths)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(width, middle) for width in widths) <= available:
            low = middle
        else:
            high = middle - 1
    fitted = [min(width, low) for width in widths]
    spare = available - sum(fitted)
    for index, width in enumerate(widths):
        if spare > 0 and width > low:
            fitted[index] += 1
            spare -= 1
    return fitted


def _alignment(cell: str) -> str:
    if cell.startswith(":") and cell.endswith(":") and len(cell) > 1:
        return "center"
    return "right" if cell.endswith(":") else "left"


def _fitted(cells: list[str], count: int) -> list[str]:
    return (cells + [""] * count)[:count]


def _cells(content: Content) -> int:
    return max((line.cell_length for line in content.split("\n")), default=0)


def _ruler(widths: Sequence[int]) -> Row:
    return Content.styled("─┼─".join("─" * width for width in widths), _DIM), "\n"


def _draw_row(cells: Sequence[Content], widths: Sequence[int], aligns: Sequence[str]) -> list[Row]:
    wrapped = [
        [part for part, _ in wrap_content(cell, width)] for cell, width in zip(cells, widths, strict=True)
    ]
    separator = Content.styled(_SEPARATOR, _DIM)
    rows: list[Row] = []
    for y in range(max(len(parts) for parts in wrapped)):
        placed = [
            _place(
                parts[y] if y < len(parts) else Content(""),
                widths[x],
                aligns[x] if x < len(aligns) else "left",
            )
            for x, parts in enumerate(wrapped)
        ]
        rows.append((separator.join(placed), "\n"))
    return rows


def _place(content: Content, width: int, align: str) -> Content:
    spare = max(0, width - content.cell_length)
    left = spare if align == "right" else spare // 2 if align == "center" else 0
    return content.pad(left, spare - left)
