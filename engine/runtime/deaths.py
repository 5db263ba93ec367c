"""What worker deaths mean for requests and models. Pure: moments come in, verdicts go out.

A request that has not shown a token is tried once more; one that was there at two deaths is the suspect.
A model whose workers died three times in ten minutes is left alone until the oldest of these deaths is ten
minutes old.
"""

from __future__ import annotations

from collections import deque

SUSPECT_AT = 2
QUARANTINE_AT = 3
WINDOW_NS = 600 * 10**9


class Deaths:
    """The deaths of one model's workers; moments in ns of the monotonic clock."""

    def __init__(self) -> None:
        self._moments: deque[int] = deque(maxlen=QUARANTINE_AT)

    def add(self, now: int) -> None:
        self._moments.append(now)

    def quarantined_for(self, now: int) -> float:
        """Seconds until the model may be loaded again; 0 if it may now."""
        if len(self._moments) < QUARANTINE_AT:
            return 0.0
        return max(0, self._moments[0] + WINDOW_NS - now) / 1e9


def try_again(deaths_seen: int, tokens_shown: int) -> bool:
    """Whether a request whose worker just died (its `deaths_seen`-th) goes back to the queue."""
    return deaths_seen < SUSPECT_AT and tokens_shown == 0
