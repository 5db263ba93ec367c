"""Guesses the next tokens of a text from the text itself, for speculative decoding without a second model.

What follows the last occurrence of the newest tokens is likely to follow again: answers quote their prompts, code
repeats itself (prompt lookup decoding, after Saxena 2023). Guesses that turn out wrong cost time, so a sequence whose
guesses fail is asked less often.
"""

from __future__ import annotations

from collections.abc import Sequence

_KEY = 3
"""Tokens that have to recur for a guess."""
_GOOD = 0.5
"""Share of right guesses from which on they pay."""
_FIRST = 2
"""Tokens of the first guess; each that is right to its end makes the next twice as long."""
_WEIGHT = 0.25
_LONGEST_PAUSE = 64


class Lookup:
    """The tokens of one sequence by their last occurrence. `take` and `guess` cost no more for a longer text."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        """Where what followed these tokens begins."""
        self._share = 1.0
        self._length = _FIRST
        self._pause = 0
        self._next_pause = 1
        for token in tokens:
            self.take(token)

    def take(self, token: int) -> None:
        """The text goes on with `token`."""
        tokens = self._tokens
        if len(tokens) >= _KEY:
            self._after[tuple(tokens[-_KEY:])] = len(tokens)
        tokens.append(token)

    def guess(self, most: int) -> tuple[int, ...]:
        """At most `most` tokens that may follow; none where nothing is known, or guesses did not pay lately."""
        if self._pause:
            self._pause -= 1
            return ()
        start = self._after.get(tuple(self._tokens[-_KEY:]))
        return () if start is None else tuple(self._tokens[start : start + min(most, self._length)])

    def judge(self, guessed: int, right: int) -> None:
        """Of `guessed` tokens the first `right` were."""
        self._share += _WEIGHT * (right / guessed - self._share)
        self._length = 2 * guessed if right == guessed else right + 1
        if self._share >= _GOOD:
            self._next_pause = 1
            return
        self._pause = self._next_pause
        self._next_pause = min(2 * self._next_pause, _LONGEST_PAUSE)
        self._share = _GOOD
