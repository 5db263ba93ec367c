"""How many guessed tokens pay: what a step costs by the number of its tokens, as measured, against what it may give.

On a GPU a step of nine tokens costs hardly more than one of a single token; on a CPU it may cost four times as much,
and not evenly: kernels work in groups of rows. So nothing is assumed. A size that is not known is tried once where
guesses are likely right, and what was learnt goes stale, since a step also costs more as the text grows. Guesses of
a second model cost its own steps too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

_LIKELY = 0.5
"""The chance of a right guess from which on sizes are tried whose cost is not known."""
_GAIN = 1.05
"""What guesses have to gain: less than this may be noise."""
_FAINT = 0.1
"""The chance of a right guess below which a draft model is not asked for one."""
_WEIGHT = 0.25
_STALE = 2_000
"""Steps for which a cost is believed at most."""
_DOUBTED = 256
"""The same of a cost that was measured once, and as much more for each time: it may have been a bad moment."""


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
        times = 1 if known is None else known.times + 1
        if known is None or ns < known.ns or self._is_stale(known):
            self._costs[tokens] = _Cost(ns=ns, step=self._steps, times=times)
        else:
            ns_now = known.ns + _WEIGHT * (ns - known.ns)
            self._costs[tokens] = _Cost(ns=ns_now, step=self._steps, times=times)

    def cost(self, tokens: int) -> float | None:
        """What a step of `tokens` costs, in ns; None where that is not known, or no longer."""
        known = self._costs.get(tokens)
        return None if known is None or self._is_stale(known) else known.ns

    def _is_stale(self, cost: _Cost) -> bool:
        return self._steps - cost.step > min(_STALE, _DOUBTED * cost.times)


class _Cost(Struct, frozen=True, kw_only=True):
    ns: float
    step: int
    """When it was measured last."""
    times: int
    """How often it was measured."""


class Guesses:
    """Deals out the guesses of one step, whose `decoders` have a token each."""

    def __init__(self, pace: Pace, decoders: int) -> None:
        self._pace = pace
        self._tokens, self._expected = decoders, float(decoders)
        self._drafting = 0.0
        """What making the guesses that were dealt out takes, ns."""

    def count(self, chance: float, most: int) -> int:
        """How many of at most `most` guesses, each right with `chance` once those before it were, make the step pay."""
        base = self._pace.cost(self._tokens)
        if base is None or most <= 0:
            return 0
        best, best_rate = 0, _GAIN * self._expected / (base + self._drafting)
        right = 0.0
        for count in range(1, most + 1):
            right += chance**count
            cost = self._pace.cost(self._tokens + count)
            if cost is None:
                if chance < _LIKELY:
                    continue
                best, best_rate = count, float("inf")
                break
            rate = (self._expected + right) / (cost + self._drafting)
            if rate > best_rate:
                best, best_rate = count, rate
        self._tokens += best
        self._expected += sum(chance**count for count in range(1, best + 1))
        return best

    def rounds(
        self, chances: Sequence[float], most: Sequence[int], drafting: Callable[[int], float]
    ) -> tuple[int, ...]:
        """How many guesses a draft model should make for each of several sequences, which it does side by side.

        `chances` and `most` as for `count`; `drafting` says what so many rounds of the model take, in ns. All get as
        many as there are rounds, but for those whose guesses would hardly be right that far ahead.
        """
        base = self._pace.cost(self._tokens)
        depths = [min(limit, _depth(chance, limit)) for chance, limit in zip(chances, most, strict=True)]
        if base is None or not any(depths):
            return (0,) * len(depths)
        likely = max(chances) >= _LIKELY
        best, best_rate, best_right = 0, _GAIN * self._expected / (base + self._drafting), 0.0
        right, tokens = 0.0, self._tokens
        for count in range(1, max(depths) + 1):
            deep = [chance for chance, depth in zip(chances, depths, strict=True) if depth >= count]
            tokens += len(deep)
            right += sum(chance**count for chance in deep)
            cost = self._pace.cost(tokens)
            # Of a size that is not known the best is believed: that it takes no longer than one without guesses.
            rate = (self._expected + right) / ((cost or base) + self._drafting + drafting(count))
            if cost is None:
                if likely and rate > best_rate:
                    best, best_right = count, right
                    break
                continue
            if rate > best_rate:
                best, best_rate, best_right = count, rate, right
        dealt = tuple(min(best, depth) for depth in depths)
        self._tokens += sum(dealt)
        self._expected += best_right
        self._drafting += drafting(best) if best else 0.0
        return dealt


def _depth(chance: float, most: int) -> int:
    """How many guesses in a row are not yet all too unlikely to be right."""
    return next((count for count in range(most) if chance ** (count + 1) < _FAINT), most)
