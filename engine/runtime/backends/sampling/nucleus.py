"""Top-p over a whole vocabulary without sorting it: the pre-cut for `top_k` 0.

Sampling by top-p alone makes llama.cpp sort 150,000 candidates once the nucleus passes 256 tokens: 9 ms each.
All tokens above any threshold are a prefix of the sorted list, so the smallest such prefix that holds the
mass is enough.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.runtime.backends.sampling.candidates import CANDIDATE, Candidates
from engine.runtime.backends.sampling.logprobs import Floats

WORTHWHILE: Final = 4096
"""Vocabulary from which on the pre-cut beats the library's own sort."""
# Distances below the best logit (natural log) that are tried in turn; past the last, all tokens are sorted.
_DEPTHS: Final = (4.0, 7.0, 10.0, 14.0)


def nucleus(row: Floats, p: float, min_keep: int) -> Candidates:
    """The smallest set of best tokens of `row` (float32 logits) whose probabilities sum to at least `p`.

    Returns them best first, at least `min_keep`. A logit may be minus infinity, not all may be.
    """
    weights = np.exp(row - row.max())
    goal = p * float(weights.sum(dtype=np.float64))
    for depth in _DEPTHS:
        kept = np.flatnonzero(weights >= np.exp(np.float32(-depth)))
        if len(kept) >= min_keep and float(weights[kept].sum(dtype=np.float64)) >= goal:
            break
    else:
        kept = np.arange(len(row))
    kept = kept[np.argsort(-row[kept])]
    mass = np.cumsum(weights[kept], dtype=np.float64)
    size = max(int(np.searchsorted(mass, goal)) + 1, min_keep)
    found = np.zeros(min(size, len(kept)), CANDIDATE)
    found["id"] = kept[:size]
    found["logit"] = row[kept[:size]]
    return found
