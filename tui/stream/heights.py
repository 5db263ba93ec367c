"""Heights of a long list of messages, measured or guessed, and where each begins. Pure arithmetic."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import ceil

from tui.pictures.box import largest
from tui.stream.calls import MOST_ROWS
from tui.stream.frozen import MessageView
from tui.stream.pictures import BETWEEN

DECORATION_ROWS = 2
"""Title row and the empty row below, which every message has."""


def guess_height(view: MessageView, width: int) -> int:
    """Rows that a message will take at `width` cells, guessed from its characters and newlines alone."""
    return guess_rows(
        view.text,
        width,
        asides=bool(view.meta) + bool(view.reasoning) + bool(view.warning),
        arguments=[call.arguments for call in view.calls],
        pictures=len(view.pictures),
    )


def guess_rows(
    text: str, width: int, *, asides: int, arguments: Sequence[str] = (), pictures: int = 0
) -> int:
    """The guess for a text with so many lines beside it, calls with these arguments, and pictures."""
    newlines = text.count("\n")
    wrapped = len(text) // max(8, width)
    calls = sum(2 + min(MOST_ROWS, each.count(",") + 3) for each in arguments)
    shown = _picture_rows(pictures, width) if pictures else 0
    return DECORATION_ROWS + newlines + wrapped + 1 + calls + asides + shown


def _picture_rows(count: int, width: int) -> int:
    most = largest(width, count)
    beside = max(1, width // (most.columns + BETWEEN))
    return ceil(count / beside) * (most.rows + 1)


class HeightMap:
    """Remembered heights of consecutive messages, in rows.

    Every height is a guess until `measure` sets it. `top(index)` is the row at which a message begins.
    """

    def __init__(self, guesses: Sequence[int] = ()) -> None:
        self._heights = list(guesses)
        self._measured = [False] * len(self._heights)
        self._bottoms: list[int] | None = None

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, index: int) -> int:
        return self._heights[index]

    @property
    def total(self) -> int:
        """Rows of all messages together."""
        return self._ends()[-1] if self._heights else 0

    def append(self, guess: int) -> None:
        """Add a message at the end."""
        self._heights.append(guess)
        self._measured.append(False)
        self._bottoms = None

    def measure(self, index: int, rows: int) -> None:
        """Remember a height that is known."""
        self._measured[index] = True
        if self._heights[index] != rows:
            self._heights[index] = rows
            self._bottoms = None

    def is_measured(self, index: int) -> bool:
        """True when the height is known and not guessed."""
        return self._measured[index]

    def top(self, index: int) -> int:
        """The row where message `index` begins; `index` may be the length."""
        return self._ends()[index - 1] if index > 0 else 0

    def at(self, row: float) -> int:
        """The index of the message that covers `row`, clamped to the list."""
        return min(len(self._heights) - 1, bisect_right(self._ends(), max(0, row)))

    def _ends(self) -> list[int]:
        if self._bottoms is None:
            self._bottoms = list(accumulate(self._heights))
        return self._bottoms
