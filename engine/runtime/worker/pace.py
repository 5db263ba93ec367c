"""How many guessed tokens pay: what a step costs by the number of its tokens, as measured, against what it may give.

On a GPU a step of nine tokens costs hardly more than one of a single token; on a CPU it may cost four times as much,
and not evenly: kernels work in groups of rows. So nothing is assumed. A size that is not known is tried once where
guesses are likely right, and what was learnt goes stale, since a step also costs more as the text grows.
"""

from __future__ import annotations

from msgspec import Struct

_LIKELY = 0.5
"""The chance of a right guess from which on sizes are tried whose cost is not known."""
_GAIN = 1.05
"""What guesses have to gain: less than this may be noise."""
_WEIGHT = 0.25
_STALE = 2_000
"""Steps for which a cost is believed."""


class Pace:
    """See the module. `took` is told of every step that only decodes."""

    def __init__(self) -> None:
        self._costs: dict[int, _Cost] = {}
        """By the number of tokens."""
        self._steps = 0

    def took(self, tokens: int, ns: int) -> None:
        """A step of `tokens` took `ns`. Many things make a step slow and nothing fast, so less counts more."""
        self._steps += 1
        known = self._costs.get(tokens)
        if known is None or ns < known.ns or self._steps - known.step > _STALE:
            self._costs[tokens] = _Cost(ns=ns, step=self._steps)
        else:
            self._costs[tokens] = _Cost(ns=known.ns + _WEIGHT * (ns - known.ns), step=self._steps)

    def cost(self, tokens: int) -> float | None:
        """What a step of `tokens` costs, in ns; None where that is not known, or no longer."""
        known = self._costs.get(tokens)
        return None if known is None or self._steps - known.step > _STALE else known.ns


class _Cost(Struct, frozen=True, kw_only=True):
    ns: float
    step: int
    """When it was measured last."""


class Guesses:
    """Deals out the guesses of one step, whose `decoders` have a token each."""

    def __init__(self, pace: Pace, decoders: int) -> None:
        self._pace = pace
        self._tokens, self._expected = decoders, float(decoders)

    def count(self, chance: float, most: int) -> int:
        """How many of at most `most` guesses, each right with `chance` once those before it were, make the step pay."""
        base = self._pace.cost(self._tokens)
        if base is None or most <= 0:
            return 0
        best, best_rate = 0, _GAIN * self._expected / base
        right = 0.0
        for count in range(1, most + 1):
            right += chance**count
            cost = self._pace.cost(self._tokens + count)
            if cost is None:
                if chance < _LIKELY:
                    continue
                best, best_rate = count, float("inf")
                break
            rate = (self._expected + right) / cost
            if rate > best_rate:
                best, best_rate = count, rate
        self._tokens += best
        self._expected += sum(chance**count for count in range(1, best + 1))
        return best
