"""What each sampling parameter means, by its formula, in numpy and float64: no sampler of any library.

Formulas: penalties Keskar et al. 2019 and OpenAI; top-p Holtzman et al. 2019; typical Meister et al. 2022; top-n-sigma
Tang et al. 2024; min-p Nguyen et al. 2024; XTC and dynamic temperature as in llama.cpp.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.types import Sampling

Floats = NDArray[np.float64]
ORDER = (
    "penalties", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature",
)  # fmt: skip


@dataclass
class Candidates:
    """Tokens that may still be drawn, best first, with their logits."""

    ids: NDArray[np.int64]
    logits: Floats

    @classmethod
    def of(cls, logits: Floats) -> Candidates:
        ids = np.argsort(-logits, kind="stable")
        return cls(ids, logits[ids])

    @property
    def chances(self) -> Floats:
        weights = np.exp(self.logits - self.logits.max())
        return weights / weights.sum()

    @property
    def entropy(self) -> float:
        """In nats."""
        chances = self.chances[self.chances > 0]
        return float(-(chances * np.log(chances)).sum())

    def keep(self, which: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> Candidates:
        return Candidates(self.ids[which], self.logits[which])

    def sorted(self) -> Candidates:
        return self.keep(np.argsort(-self.logits, kind="stable"))


def penalties(found: Candidates, said: Sampling, history: Sequence[int]) -> Candidates:
    last = len(history) if said.repeat_last_n < 0 else said.repeat_last_n
    counts = Counter(history[-last:] if last else ())
    logits = found.logits.copy()
    for place, token in enumerate(found.ids):
        if count := counts[int(token)]:
            value = logits[place]
            value = value / said.repetition_penalty if value > 0 else value * said.repetition_penalty
            logits[place] = value - count * said.frequency_penalty - said.presence_penalty
    return Candidates(found.ids, logits).sorted()


def top_n_sigma(found: Candidates, said: Sampling, history: Sequence[int]) -> Candidates:
    if said.top_n_sigma <= 0:
        return found
    able = found.logits[np.isfinite(found.logits)]
    return found.keep(found.logits >= able.max() - said.top_n_sigma * able.std())


def top_k(found: Candidates, said: Sampling, history: Sequence[int]) -> Candidates:
    return found.keep(np.arange(min(max(said.top_k, said.min_keep), len(found.ids)))) if said.top_k else found


def _mass(found: Candidates, order: NDArray[np.int64], p: float, least: int) -> Candidates:
    """The shortest head of `order` that holds `p`, at least `least`."""
    size = int((np.cumsum(found.chances[order]) < p).sum()) + 1
    return found.keep(order[: max(size, least)]).sorted()


def typical_p(found: Candidates, said: Sampling, history: Sequence[int]) -> Candidates:
    if said.typical_p >= 1:
        return found
    with np.errstate(divide="ignore"):
        surprise = -np.log(found.chances)
    order = np.argsort(np.abs(surprise - found.entropy), kind="stable")
    return _mass(found, order, said.typical_p, said.min_keep)


def top_p(found: Candidates, said: Sampling, history: Sequence[int]) -> Candidates:
    return _mass(found, np.arange(len(found.ids)), said.top_p, said.min_keep) if said.top_p < 1 else found


def min_p(found: Candidates, said: Sampling, history: Sequence[int]) -> Candidates:
    if said.min_p <= 0:
        return found
    able = found.chances >= said.min_p * found.chances.max()
    return found.keep(able | (np.arange(len(able)) < said.min_keep))


def xtc(found: Candidates, said: Sampling, history: Sequence[int]) -> Candidates:
    """With `xtc_probability` 1: whether it applies is drawn by lot otherwise."""
    if said.xtc_probability < 1:
        return found
    likely = int((found.chances >= said.xtc_threshold).sum())
    return found.keep(np.arange(max(likely - 1, 0), len(found.ids)))


def temperature(found: Candidates, said: Sampling, history: Sequence[int]) -> Candidates:
    heat = said.temperature
    if said.dynatemp_range:
        low, high = max(0.0, heat - said.dynatemp_range), heat + said.dynatemp_range
        evenness = found.entropy / np.log(len(found.ids)) if len(found.ids) > 1 else 0.0
        heat = low + (high - low) * evenness**said.dynatemp_exponent
    if heat == 0:
        return found.keep(np.arange(1))
    return Candidates(found.ids, found.logits / heat)


_STEPS: dict[str, Callable[[Candidates, Sampling, Sequence[int]], Candidates]] = {
    "penalties": penalties, "top_n_sigma": top_n_sigma, "top_k": top_k, "typical_p": typical_p, "top_p": top_p,
    "min_p": min_p, "xtc": xtc, "temperature": temperature,
}  # fmt: skip


def distribution(logits: NDArray[np.float32], said: Sampling, history: Sequence[int]) -> dict[int, float]:
    """The probability of every token that may be drawn after `history`, mirostat, DRY and the lots of XTC aside."""
    values = logits.astype(np.float64)
    for token, bias in said.logit_bias.items():
        values[token] += bias
    values[list(said.banned_tokens)] = -np.inf
    found = Candidates.of(values)
    order = said.samplers or ORDER
    if said.temperature == 0:
        order = tuple(name for name in order if name == "penalties")
    for name in order:
        found = _STEPS[name](found, said, history)
    if said.temperature == 0:
        found = found.keep(np.arange(1))
    chances = found.chances
    return {int(token): float(chance) for token, chance in zip(found.ids, chances, strict=True) if chance > 0}
