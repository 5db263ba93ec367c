"""The way from the screen to the engine, which starts behind the first frame so as not to delay it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine import Engine


class Connection:
    """An engine that is there, or one that `start` makes in a thread of its own. All of it is thread safe."""

    def __init__(self, source: Engine | Callable[[], Engine]) -> None:
        self._engine: Engine | None = source if isinstance(source, Engine) else None
        self._make: Callable[[], Engine] | None = None if isinstance(source, Engine) else source
        self._lock = threading.Lock()
        self.error: Exception | None = None
        """Why it could not be made."""

    @property
    def ready(self) -> Engine | None:
        """The engine if it has started; never waits."""
        return self._engine

    def get(self) -> Engine:
        """The engine, made now if need be. Raises what making it raised, each time it is asked."""
        with self._lock:
            if self.error is not None:
                raise self.error
            if self._engine is None:
                assert self._make is not None
                try:
                    self._engine = self._make()
                except Exception as error:
                    self.error = error
                    raise
            return self._engine
