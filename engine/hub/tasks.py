"""Ends of work on threads and tasks: nothing is closed that is still being written to, whoever is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")


async def ended(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel what still runs and wait until it has ended: pieces that are being written are."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def to_the_end(work: Callable[..., _T], *arguments: Any) -> _T:
    """`work` on a thread. A cancel waits for its end, so that nobody closes what it still writes to."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise
