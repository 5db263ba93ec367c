"""The way from the screen to the engine, which starts behind the first frame so as not to delay it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.errors import HearthError, ModelUnavailable

if TYPE_CHECKING:
    from engine import Engine


class Connection:
    """An engine that is there, or one that `start` makes in a thread of its own. All of it is thread safe."""

    def __init__(self, source: Engine | Callable[[], Engine]) -> None:
        self._engine: Engine | None = None if callable(source) else source
        self._make: Callable[[], Engine] | None = source if callable(source) else None
        self._lock = threading.Lock()
        self._open = threading.Event()
        self.error: Exception | None = None
        """Why it could not be made."""

    @property
    def ready(self) -> Engine | None:
        """The engine if it has started; never waits."""
        return self._engine

    @property
    def attached(self) -> str:
        """Host and port of the engine, where it is another process's; empty: it is here, or not there yet."""
        address = getattr(self._engine, "address", None)
        return address.name if address is not None else ""

    @property
    def elsewhere(self) -> bool:
        """Whether the engine is on another machine."""
        name = self.attached
        return bool(name) and name.rpartition(":")[0] not in ("127.0.0.1", "localhost", "[::1]")

    @property
    def lost(self) -> HearthError | None:
        """Why an engine elsewhere was not reached lately; None while all is well."""
        return getattr(self._engine, "problem", None)

    def open(self) -> None:
        """Let the engine be made: the first frame is drawn."""
        self._open.set()

    def close(self) -> None:
        """Let nobody wait any longer for an engine that is not made: the app ends."""
        if self._engine is None and self.error is None:
            self.error = ModelUnavailable("Hearth is closing.", "The engine had not started yet.")
        self._open.set()

    async def reached(self) -> Engine:
        """The engine, without blocking the loop while it starts. Raises what making it raised."""
        return self._engine if self._engine is not None else await asyncio.to_thread(self.get)

    def get(self) -> Engine:
        """The engine, made now if need be. Raises what making it raised, each time it is asked.

        Threads that ask before the first frame wait for it: an import beside it would delay it.
        """
        if self._engine is None and threading.current_thread() is not threading.main_thread():
            self._open.wait()
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
