"""Log-probabilities from a row of logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.types import TokenLogprob

Floats = NDArray[np.float32]


def logprob_of(row: Floats, token: int, top: int, piece: Callable[[int], bytes]) -> TokenLogprob:
    """Natural-log probability of `token` under the softmax of `row`, and the `top` best tokens in order."""
    values = row.astype(np.float64)
    best = values.max()
    values -= best + np.log(np.exp(values - best).sum())
    top = min(top, len(values))
    chosen = np.argpartition(values, -top)[-top:] if top else np.empty(0, np.int64)
    ranked = chosen[np.lexsort((chosen, -values[chosen]))]
    return TokenLogprob(
        token,
        piece(token),
        float(values[token]),
        tuple(TokenLogprob(int(other), piece(int(other)), float(values[other])) for other in ranked),
    )
