"""The part of `LocalEngine` that is about its thread and loop, on which all its work happens."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from engine.errors import HearthError, ModelUnavailable

_T = TypeVar("_T")
_PATIENCE = 5.0
"""Seconds that questions get to give up at the end."""


class LocalLoop(ABC):
    """What `LocalEngine` inherits: a loop on a thread of its own, or the loop of its first call."""

    def _open_loop(self, *, threaded: bool) -> None:
        """Get ready; the thread starts at the first call."""
        self._threaded = threaded
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        """Held while work is handed to the loop, so that none comes behind the last that `close` hands over."""
        self._closed = False

    @abstractmethod
    def _loop_began(self) -> None:
        """The loop is there."""

    async def _end_thread(self) -> None:
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)

    async def _on_loop(self, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            self._running_loop()
        except HearthError:
            work.close()
            raise
        return await self._carry(work)

    async def _carry(self, work: Coroutine[Any, Any, _T]) -> _T:
        assert self._loop is not None
        if asyncio.get_running_loop() is self._loop:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the loop call `function`; after the engine's end nothing happens."""
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function, *arguments)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._closed:
                raise ModelUnavailable("Hearth is closing.", fix="Start it again.")
            if self._loop is None:
                if self._threaded:
                    self._loop = asyncio.new_event_loop()
                    self._thread = threading.Thread(
                        target=_serve, args=(self._loop,), name="engine", daemon=True
                    )
                    self._thread.start()
                else:
                    self._loop = asyncio.get_running_loop()
                self._loop_began()
            return self._loop


async def _give_up() -> None:
    """End what was still asked when the engine was closed, so that it ends its processes too."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_PATIENCE)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """The engine's thread. Workers are its children: it must live as long as they do."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(_give_up())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
