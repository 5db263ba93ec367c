"""Guesses the next tokens of a text from the text itself, for speculative decoding without a second model.

What follows the last occurrence of the newest tokens is likely to follow again: answers quote their prompts, code
repeats itself (prompt lookup decoding, after Saxena 2023). Whether a guess would have been right is seen for every
token, also where none was sent, so that the chance of the next is known and costs nothing to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

_KEY = 3
"""Tokens that have to recur for a guess."""
_PRIOR = 0.5
"""The chance of the first guess: an even one."""
_WEIGHT = 0.25


class Lookup:
    """The tokens of one sequence by their last occurrence. `take` and `guess` cost no more for a longer text."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        """Where what followed these tokens begins."""
        self.chance = _PRIOR
        """How likely a guessed token is right, judged by the newest that could be guessed."""
        for token in tokens:
            self.take(token)
        self.chance = _PRIOR

    def take(self, token: int) -> None:
        """The text goes on with `token`."""
        tokens = self._tokens
        if len(tokens) >= _KEY:
            key = tuple(tokens[-_KEY:])
            start = self._after.get(key)
            if start is not None:
                self.chance += _WEIGHT * ((tokens[start] == token) - self.chance)
            self._after[key] = len(tokens)
        tokens.append(token)

    def guess(self, most: int) -> tuple[int, ...]:
        """The `most` tokens that may follow; none where nothing is known. Past its end the text goes round again."""
        tokens = self._tokens
        start = self._after.get(tuple(tokens[-_KEY:]))
        if start is None:
            return ()
        guesses = (tokens[start + index % (len(tokens) - start)] for index in range(most))
        # Tokens of pictures are not words.
        return tuple(takewhile(lambda token: token >= 0, guesses))
