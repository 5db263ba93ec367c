"""`Line`, the unit every message is drawn and copied in, and wrapping `Content` into lines.

A message is a list of lines for one width. Each knows how it joins the line before it when
copied, so that text that was only wrapped to fit comes back unwrapped and code exactly as written.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content

_WORD = re.compile(r"\S+")
_EMPTY = Content("")


@dataclass(frozen=True, slots=True)
class Line:
    """One row on the screen.

    `gutter` counts the leading characters that are decoration and never copied, `tail` those at the end.
    `join` is what stands between this line and the one before it in copied text: a newline, or a space or
    nothing where the row only continues a wrapped one. `copied` is False for rows that are decoration as a
    whole. `mark` says what a click on the row means; empty: nothing.
    """

    content: Content
    gutter: int = 0
    join: str = "\n"
    copied: bool = True
    tail: int = 0
    mark: str = ""


BLANK = Line(_EMPTY)
"""An empty row that is copied as an empty line."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of a text that fits one row: `[start, end)` in characters, and how it joins the row above."""

    start: int
    end: int
    join: str


def wrap_pieces(text: str, width: int) -> list[Piece]:
    """Break `text` greedily at white space into rows of at most `width` cells.

    Newlines always break. A word wider than a row is cut by cells. White space at a break belongs to no
    row. There is at least one piece, and `width` below 2 counts as 2 (a wide character needs two cells).
    """
    width = max(2, width)
    pieces: list[Piece] = []
    start = 0
    join = "\n"
    for paragraph in text.split("\n"):
        _wrap_paragraph(paragraph, start, width, join, pieces)
        start += len(paragraph) + 1
    return pieces


def _wrap_paragraph(text: str, base: int, width: int, join: str, pieces: list[Piece]) -> None:
    ascii_text = text.isascii()
    if (len(text) if ascii_text else cell_len(text)) <= width:
        pieces.append(Piece(base, base + len(text), join))
        return
    row_start = row_end = 0
    row_cells = 0
    for word in _WORD.finditer(text):
        start, end = word.span()
        cells = end - start if ascii_text else cell_len(word[0])
        gap = start - row_end
        if row_cells + gap + cells <= width:
            row_end, row_cells = end, row_cells + gap + cells
            continue
        if row_end > row_start:
            pieces.append(Piece(base + row_start, base + row_end, join))
            join = " "
        while cells > width:
            cut = start + _fitting(text[start:end], width, ascii_text)
            pieces.append(Piece(base + start, base + cut, join))
            join = ""
            start = cut
            cells = end - start if ascii_text else cell_len(text[start:end])
        row_start, row_end, row_cells = start, end, cells
    if row_end > row_start or not text.strip():
        pieces.append(Piece(base + row_start, base + row_end, join))


def _fitting(text: str, width: int, ascii_text: bool) -> int:
    """How many leading characters of `text` fit into `width` cells; at least one."""
    if ascii_text:
        return width
    cells = 0
    for index, character in enumerate(text):
        cells += cell_len(character)
        if cells > width:
            return max(1, index)
    return len(text)


def wrap_content(content: Content, width: int) -> list[tuple[Content, str]]:
    """Wrap styled text; return each row's content with the string that joins it to the row above."""
    pieces = wrap_pieces(content.plain, width)
    if len(pieces) == 1:
        only = pieces[0]
        whole = only.start == 0 and only.end == len(content.plain)
        return [(content if whole else content[only.start : only.end], "\n")]
    edges: list[int] = []
    for piece in pieces:
        edges += (piece.start, piece.end)
    # divide() cuts at every edge at once; the even results are the gaps between the rows.
    parts = content.divide(edges)
    return [(parts[2 * index + 1], piece.join) for index, piece in enumerate(pieces)]


def fold_code(content: Content, width: int) -> list[tuple[Content, str]]:
    """Cut one line of code into rows of at most `width` cells, keeping every space."""
    text = content.plain
    width = max(2, width)
    ascii_text = text.isascii()
    if (len(text) if ascii_text else cell_len(text)) <= width:
        return [(content, "\n")]
    cuts = [0]
    while cuts[-1] < len(text):
        # A row has at most as many characters as cells; looking at more would cost the whole rest each time.
        ahead = text[cuts[-1] : cuts[-1] + width + 1]
        cuts.append(cuts[-1] + min(_fitting(ahead, width, ascii_text), len(ahead)))
    return [(content[a:b], "" if a else "\n") for a, b in itertools.pairwise(cuts)]


def extract(lines: Sequence[Line], start: tuple[int, int] | None, end: tuple[int, int] | None) -> str:
    """The text between two (x, y) places, in characters and rows; None stands for either end.

    Gutters and decoration are left out, trailing spaces are stripped, wrapped rows are joined again.
    """
    if not lines:
        return ""
    first_x, first_y = start if start is not None else (0, 0)
    last_x, last_y = end if end is not None else (-1, len(lines) - 1)
    parts: list[str] = []
    for y in range(max(0, first_y), min(last_y, len(lines) - 1) + 1):
        line = lines[y]
        if not line.copied:
            continue
        plain = line.content.plain
        begin = max(line.gutter, first_x if y == first_y else 0)
        stop = len(plain) - line.tail
        if y == last_y and last_x >= 0:
            stop = min(stop, last_x)
        if parts:
            parts.append(line.join)
        parts.append(plain[begin:stop].rstrip())
    return "".join(parts)
