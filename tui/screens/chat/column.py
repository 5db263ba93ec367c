"""A column of readable width in the middle of a wide screen, shared by conversation and prompt."""

from __future__ import annotations

from textual import events
from textual.containers import Vertical

WIDEST = 104
"""Cells of the column at most; text is as wide less the two of its border."""


def side(width: int) -> int:
    """Cells left free on either side of the column when `width` cells are there."""
    return max(1, (width - WIDEST) // 2)


class Column(Vertical):
    """Keeps its children within the column."""

    DEFAULT_CSS = "Column { height: auto; }"

    def on_resize(self, event: events.Resize) -> None:
        """Margins for the new width."""
        margin = side(self.outer_size.width)
        self.styles.padding = (0, margin, 0, margin)
