"""From the engine's threads to the screen: a queue per stream, one clock for all of them.

    pump = StreamPump()                       # one per app, used on the UI loop
    feed = pump.open(answer)                  # a Feed; `answer` is a Sink
    feed.push("token")                        # any thread: appends to a deque, wakes nobody
    feed.close()                              # any thread: one wake-up, whatever is left is drawn at once

The pump's clock ticks about 15 times a second while a stream is open and not at all otherwise. After
each tick it waits at least five times what drawing cost (never more than two seconds), so a slow terminal
gets fewer, larger updates and the loop stays free; the end of a stream is drawn without waiting. A
sink that is held (the reader scrolled away) is not drawn; its text waits in the feed, counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

TICK = 1 / 15
"""Seconds between ticks when drawing is cheap."""
LONGEST_DELAY = 2.0
"""Seconds between ticks at most, however dear drawing is."""
COST_FACTOR = 5
"""A tick is followed by at least this many times its drawing time."""


SETTLING_TURNS = 8
"""Turns of the loop after a draw within which Textual lays out and paints what the draw asked for."""


def delay_after(cost: float) -> float:
    """Seconds to wait after a tick that took `cost` seconds of the loop's time."""
    return min(LONGEST_DELAY, max(TICK, COST_FACTOR * cost))


class Sink(Protocol):
    """Where a feed's text goes; called on the UI loop only."""

    def append(self, text: str) -> None:
        """Draw more answer text."""

    def append_reasoning(self, text: str) -> None:
        """Draw more thinking text."""


class Feed:
    """The queue of one stream. `push`, `push_reasoning` and `close` are safe on any thread."""

    def __init__(self, pump: StreamPump, sink: Sink | None, on_end: Callable[[], None] | None) -> None:
        self._pump = pump
        self._queue: deque[tuple[bool, str]] = deque()
        self._closed = False
        self._on_end = on_end
        self.sink = sink
        """What draws the text; None keeps it queued (its conversation is not on screen)."""
        self.held: Callable[[], bool] | None = None
        """Asked before each draw; while it returns True the text waits, unless the stream has ended."""
        self.source: Callable[[], None] | None = None
        """Called at each tick before the draw, for streams that are drained: it pushes what has come."""

    def push(self, text: str) -> None:
        """Queue one token's answer text."""
        self._queue.append((False, text))

    def push_reasoning(self, text: str) -> None:
        """Queue one token's thinking text."""
        self._queue.append((True, text))

    def close(self) -> None:
        """No more text comes; what is queued is drawn at once and then `on_end` is called."""
        self._closed = True
        self._pump.wake()

    @property
    def is_closed(self) -> bool:
        """True after `close`."""
        return self._closed

    @property
    def pending(self) -> int:
        """Tokens that wait to be drawn."""
        return len(self._queue)

    def drain(self) -> bool:
        """Hand everything queued to the sink, in order; True if there was anything."""
        sink = self.sink
        if sink is None or not self._queue:
            return False
        parts: list[str] = []
        thinking = self._queue[0][0]
        for _ in range(len(self._queue)):
            is_reasoning, text = self._queue.popleft()
            if is_reasoning is not thinking:
                _draw(sink, thinking, parts)
                parts, thinking = [], is_reasoning
            parts.append(text)
        _draw(sink, thinking, parts)
        return True

    def _tick(self) -> bool:
        """Draw what may be drawn; True when the feed is done and can be forgotten."""
        if self.source is not None and not self._closed:
            self.source()
        ended = self._closed
        if self.sink is None:
            return False
        if ended or self.held is None or not self.held():
            self.drain()
        if ended and self._on_end is not None:
            self._on_end()
        return ended


def _draw(sink: Sink, thinking: bool, parts: list[str]) -> None:
    text = "".join(parts)
    if thinking:
        sink.append_reasoning(text)
    else:
        sink.append(text)


class StreamPump:
    """Drains every open feed on one clock. Made and used on the UI's event loop.

    `on_tick` is called after each tick (for counters such as a "paused" chip).
    """

    def __init__(self, on_tick: Callable[[], None] | None = None) -> None:
        self._on_tick = on_tick
        self._feeds: list[Feed] = []
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self.ticks = 0
        """Ticks so far, for tests and for the curious."""

    def open(self, sink: Sink | None, on_end: Callable[[], None] | None = None) -> Feed:
        """Start a stream into `sink`. `on_end` is called on the loop, once, after the last text is drawn."""
        self._loop = asyncio.get_running_loop()
        feed = Feed(self, sink, on_end)
        self._feeds.append(feed)
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._run(), name="stream pump")
        return feed

    def attach(self, feed: Feed, sink: Sink | None) -> None:
        """Send a feed to another sink (its conversation came on screen) or to none; draws at once."""
        feed.sink = sink
        self.wake()

    def wake(self) -> None:
        """Tick now. Safe on any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    def stop(self) -> None:
        """Forget all feeds and stop the clock; their text is not drawn."""
        self._feeds.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while self._feeds:
            cost = await self._tick()
            if not self._feeds:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), delay_after(cost))
            self._wake.clear()

    async def _tick(self) -> float:
        """Draw all feeds; return the seconds of the loop's own CPU time that it took, painting included."""
        self.ticks += 1
        began = time.thread_time()
        for feed in list(self._feeds):
            if feed._tick() and feed in self._feeds:
                self._feeds.remove(feed)
        if self._on_tick is not None:
            self._on_tick()
        for _ in range(SETTLING_TURNS):
            await asyncio.sleep(0)
        return time.thread_time() - began
