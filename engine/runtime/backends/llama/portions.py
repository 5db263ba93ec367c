"""Cuts long texts where their portions have the tokens that they have together.

llama.cpp looks for every special token in the whole rest of a text, again for each stretch between two: a text of
many special tokens takes the square of its length, which for a megabyte is minutes. What lies between two special
tokens is tokenized by itself, so a text may be cut before one, unless

- another special token may lie across that place, or
- one takes the blanks before it, and there are some.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

PORTION: Final = 1 << 15
"""Bytes from which on a text is cut; a portion has as many and as far as it is to the next place."""


class Cutter:
    """`special` are the texts of all tokens that the library looks for, `blanks` whether one takes those before it."""

    def __init__(self, special: Collection[bytes], *, blanks: bool) -> None:
        inner = {byte for text in special for byte in text[1:]}
        marks = [text for text in special if text and text[0] not in inner]
        self._leads = re.compile(b"[%b]" % re.escape(bytes({text[0] for text in marks}))) if marks else None
        self._marks = tuple(marks)
        self._blanks = blanks

    def portions(self, text: bytes) -> Iterator[bytes]:
        """`text` in portions, one at least."""
        start = 0
        while (cut := self._place(text, start + PORTION)) is not None:
            yield text[start:cut]
            start = cut
        yield text[start:]

    def _place(self, text: bytes, least: int) -> int | None:
        """The first place from `least` on where `text` may be cut."""
        if self._leads is None:
            return None
        for found in self._leads.finditer(text, least):
            place = found.start()
            if text.startswith(self._marks, place) and not (
                self._blanks and text[place - 1 : place].isspace()
            ):
                return place
        return None
