"""`PullStream`, the `Pulling` of engines that run here: filled on the hub's loop, read from anywhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

from engine.types import PullState


class PullStream:
    """See `engine.face.Pulling`. A reader who looks seldom gets the newest state, not all that were."""

    def __init__(self, id: str, cancel: Callable[[], None]) -> None:
        self.id = id
        self._cancel = cancel
        self._lock = threading.Lock()
        self._newest: PullState | None = None
        self._unread = False
        self._given = False
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def __aiter__(self) -> AsyncIterator[PullState]:
        return self

    async def __anext__(self) -> PullState:
        while True:
            state = self.drain()
            if state is not None:
                return state
            if self._given:
                raise StopAsyncIteration
            wake = asyncio.Event()
            with self._lock:
                if self._unread:
                    continue
                self._waiters.append((asyncio.get_running_loop(), wake))
            await wake.wait()

    def drain(self) -> PullState | None:
        with self._lock:
            if not self._unread:
                return None
            self._unread = False
            assert self._newest is not None
            self._given = self._newest.ended
            return self._newest

    def cancel(self) -> None:
        self._cancel()

    async def wait(self) -> PullState:
        async for _ in self:
            pass
        assert self._newest is not None
        return self._newest

    def push(self, state: PullState) -> None:
        """The engine's end: the newest state, from any thread; nothing follows one that has ended."""
        with self._lock:
            if self._newest is not None and self._newest.ended:
                return
            self._newest, self._unread = state, True
            waiters, self._waiters = self._waiters, []
        for loop, wake in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake.set)
