"""Finds where one JSON value ends in a text that is still coming. What is inside the value is not checked."""

from __future__ import annotations

import re

_IN_STRING = re.compile(r'["\\]')
_IN_TREE = re.compile(r'["{}\[\]]')
_BEHIND_SCALAR = re.compile(r"[\s,:\]}]")


class Extent:
    """The extent of one value, which begins where the first text begins."""

    def __init__(self) -> None:
        self.done = False
        """Whether the value ended."""
        self.open_ended = True
        """Whether it may be over where the text is over: a number or a word, which nothing closes."""
        self._begun = False
        self._depth = 0
        self._quoted = False
        self._escaped = False

    def take(self, text: str) -> int:
        """How many characters of `text`, which goes on where the last one ended, belong to the value."""
        if not text or self.done:
            return 0
        if not self._begun:
            self._begun = True
            self.open_ended = text[0] not in '"{['
        if self.open_ended:
            behind = _BEHIND_SCALAR.search(text)
            self.done = behind is not None
            return len(text) if behind is None else behind.start()
        at = 0
        while at < len(text) and not self.done:
            at = self._step(text, at)
        return at

    def _step(self, text: str, at: int) -> int:
        """Where to look on after the next character that means something."""
        if self._escaped:
            self._escaped = False
            return at + 1
        found = (_IN_STRING if self._quoted else _IN_TREE).search(text, at)
        if found is None:
            return len(text)
        match found[0]:
            case "\\":
                self._escaped = True
            case '"':
                self._quoted = not self._quoted
            case "{" | "[":
                self._depth += 1
            case _:
                self._depth -= 1
        self.done = not self._depth and not self._quoted
        return found.end()
