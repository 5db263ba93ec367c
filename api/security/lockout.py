"""How often a password may be guessed: so many failures in a quarter of an hour, of one address and of all together.

An attempt counts from its beginning, so that many at once are not more than many one after the other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from api.errors import RateLimited

WINDOW_S: Final = 15 * 60.0
OF_ONE: Final = 5
OF_ALL: Final = 20


class Lockout:
    """The attempts that failed, or have not ended. `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: deque[tuple[float, str]] = deque(maxlen=OF_ALL)

    def begin(self, peer: str) -> None:
        """Somebody at that address tries. Raises RateLimited with the time after which they may."""
        now = self._clock()
        while self._tries and self._tries[0][0] <= now - WINDOW_S:
            self._tries.popleft()
        own = [moment for moment, who in self._tries if who == peer]
        if len(own) < OF_ONE and len(self._tries) < OF_ALL:
            self._tries.append((now, peer))
            return
        first = own[0] if len(own) >= OF_ONE else self._tries[0][0]
        raise RateLimited(
            "Too many wrong passwords.",
            "Nobody may try again for a while.",
            "Wait, or set another password with `hearth password set` on the server's machine.",
            retry_after_s=max(1.0, first + WINDOW_S - now),
        )

    def succeeded(self, peer: str) -> None:
        """The last attempt of that address was none to count, nor those before it."""
        self._tries = deque((each for each in self._tries if each[1] != peer), maxlen=OF_ALL)

    def forget(self) -> None:
        """Begin anew: there is another password to be guessed."""
        self._tries.clear()
