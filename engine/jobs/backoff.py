"""How long to wait before the next try: twice as long as before, and never the same for two that failed together."""

from __future__ import annotations

import random
from typing import Final

LONGEST_S: Final = 300.0


def wait(failures: int, base: float, *, longest: float = LONGEST_S, draw: float | None = None) -> float:
    """Seconds before the next try after `failures` (1, 2, …): from half of `base`·2^(failures-1) up to all of it.

    `draw`, from 0 to 1, is the jitter; None draws one.
    """
    whole = min(longest, base * 2.0 ** min(failures - 1, 60))
    return whole * (0.5 + 0.5 * (random.random() if draw is None else draw))
