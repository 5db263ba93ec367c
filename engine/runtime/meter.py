"""Counts the tokens of one model as they come from its worker, for rates. Pure.

Written on the engine's loop alone; any thread may read the two sums.
"""

from __future__ import annotations

from engine.hardware.residents import TokenCounts
from engine.runtime.wire import Item, Piece
from engine.types import Admitted, Done, Failed, Prefill


class Meter:
    """What the workers of one model have decoded, and computed of prompts, since the engine began."""

    def __init__(self) -> None:
        self.decoded = self.prefilled = 0
        self._reading: dict[int, tuple[int, int]] = {}
        """Of requests whose prompt is being read: tokens that are there, tokens in all."""

    @property
    def counts(self) -> TokenCounts:
        """Both sums."""
        return TokenCounts(self.decoded, self.prefilled)

    def take(self, item: Item) -> None:
        """Count what a worker says."""
        if isinstance(item, Piece):
            self.decoded += item.tokens
            if self._reading and (read := self._reading.pop(item.key, None)) is not None:
                # Short prompts are read in one step, of which no event tells.
                self.prefilled += read[1] - read[0]
            return
        match item.event:
            case Admitted(prompt_tokens=total, cached_tokens=cached):
                self._reading[item.key] = (cached, total)
            case Prefill(done=done):
                there, total = self._reading.get(item.key, (done, done))
                if done > there:
                    self.prefilled += done - there
                    self._reading[item.key] = (done, total)
            case Done() | Failed():
                self._reading.pop(item.key, None)

    def forget(self) -> None:
        """The worker is gone, and what it had in hand."""
        self._reading.clear()
