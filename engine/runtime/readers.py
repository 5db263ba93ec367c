"""The engine's side of readers: small workers that answer questions about a model's text while it is not resident.

A reader holds a vocabulary, some tens of megabytes, and no weights. It is not counted among the models, and lives a
short time after its last question; there are a few at most beside those that are being asked.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from engine.errors import HearthError, ModelUnavailable
from engine.library.identity import Stamp, stamps_of
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.library_settings import library_settings
from engine.runtime.host import Host
from engine.runtime.limits import Limits
from engine.runtime.load_defaults import completed
from engine.runtime.logring import LogRing
from engine.runtime.ticket import Target
from engine.runtime.wire import Load, Reply, ToWorker
from engine.settings import Settings
from engine.types import LoadOptions, ModelFacts

BACKENDS: Final = ("llama", "transformers", "mlx", "scripted")
"""Backends that can read a model without its weights."""
MOST: Final = 2
"""Readers that stay when nobody asks them."""
IDLE: Final = 30.0
"""Seconds that a reader lives after its last question."""


class Readers:
    """Asks readers, starting them as needed. `check` raises for a file that should not be touched.

    Belongs on one loop.
    """

    def __init__(
        self, settings: Settings, log: LogRing, check: Callable[[Target], Awaitable[object]]
    ) -> None:
        self._settings, self._log, self._check = settings, log, check
        self._readers: dict[str, _Reader] = {}
        """By model, the one asked last at the end."""
        self._calls = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def facts(self, target: Target) -> ModelFacts:
        """What the model is, as it would be loaded. Raises ModelLoadFailed."""
        async with self._reader(target) as reader:
            return reader.facts.result()

    async def ask(self, target: Target, question: Callable[[int], ToWorker]) -> Reply:
        """Put a question to a reader of the model. Raises what the answer says, or ModelLoadFailed."""
        async with self._reader(target) as reader:
            call = next(self._calls)
            future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            reader.replies[call] = future
            reader.host.send(question(call))
            try:
                reply = await future
            finally:
                reader.replies.pop(call, None)
        if reply.error is not None:
            raise HearthError.from_info(reply.error)
        return reply

    def adopt(self, settings: Settings) -> None:
        """Go by `settings` for readers that are opened from now on."""
        self._settings = settings

    async def close(self) -> None:
        """End all readers."""
        self._closing = True
        for name in list(self._readers):
            self._end(name)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def _reader(self, target: Target) -> AsyncIterator[_Reader]:
        """A reader that is ready, of the files as they are now. It stays as long as it is used."""
        await self._check(target)
        stamps = await asyncio.to_thread(_stamps, target)
        if self._closing:
            raise ModelUnavailable("Hearth is closing.", fix="Start it again.")
        reader = self._readers.get(target.id)
        if reader is not None and (reader.dead or reader.stamps != stamps):
            self._end(target.id)
            reader = None
        if reader is None:
            reader = _Reader(target.id, stamps, self._log)
            self._start(self._open(target, reader))
        self._readers.pop(target.id, None)
        self._readers[target.id] = reader
        reader.users += 1
        if reader.timer is not None:
            reader.timer.cancel()
        try:
            self._thin_out()
            await asyncio.shield(reader.facts)
            if reader.dead:
                raise _gone(target.id)
            yield reader
        finally:
            reader.users -= 1
            self._rest(target.id, reader)

    def _thin_out(self) -> None:
        """End those that nobody uses, the one asked longest ago first, until there are no more than there may be."""
        idle = [name for name, each in self._readers.items() if not each.users]
        for name in idle[: max(0, len(self._readers) - MOST)]:
            self._end(name)

    async def _open(self, target: Target, reader: _Reader) -> None:
        spec = LoadSpec(
            model=target.entry.id,
            path=target.entry.path,
            projector=target.entry.projector,
            options=completed(LoadOptions(), self._settings.runtime, target.backend),
            libraries=library_settings(self._settings),
        )
        order = Load(target.backend, spec, Limits(), reading=True)
        try:
            ready = await reader.host.start(order, passive=True)
        except HearthError as error:
            reader.fail(error)
            if self._readers.get(target.id) is reader:
                self._end(target.id)
        else:
            if not reader.facts.done():
                reader.facts.set_result(ready.facts)

    def _rest(self, name: str, reader: _Reader) -> None:
        """Count the idle time of `reader` from now on, if nobody uses it."""
        if not reader.users and self._readers.get(name) is reader:
            reader.timer = asyncio.get_running_loop().call_later(IDLE, self._end, name)
            self._thin_out()

    def _end(self, name: str) -> None:
        reader = self._readers.pop(name)
        if reader.timer is not None:
            reader.timer.cancel()
        reader.fail(_gone(name))
        self._start(reader.host.stop())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Reader:
    """One reader of the files with `stamps`, and who waits for its answers."""

    def __init__(self, name: str, stamps: tuple[Stamp, ...], log: LogRing) -> None:
        self.stamps = stamps
        self.host = Host(
            name,
            log,
            on_items=lambda items: None,
            on_progress=lambda progress: None,
            on_reply=self._take,
            on_death=self.fail,
        )
        self.facts: asyncio.Future[ModelFacts] = asyncio.get_running_loop().create_future()
        self.replies: dict[int, asyncio.Future[Reply]] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.users = 0
        """Who waits for it, or for its answers."""
        self.dead = False

    def fail(self, error: HearthError) -> None:
        """Nobody gets an answer any more."""
        self.dead = True
        waiting: list[asyncio.Future[Any]] = [self.facts, *self.replies.values()]
        self.replies = {}
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                # Somebody may have asked and gone.
                future.exception()

    def _take(self, reply: Reply) -> None:
        future = self.replies.pop(reply.call, None)
        if future is not None and not future.done():
            future.set_result(reply)


def _gone(name: str) -> ModelUnavailable:
    return ModelUnavailable(f"The text of {name} is not read any more.", fix="Ask again.")


def _stamps(target: Target) -> tuple[Stamp, ...]:
    from engine.library.gguf_parts import parts_of
    from engine.library.model_folder import stamped_files

    path = Path(target.entry.path)
    match target.entry.format:
        case "gguf":
            return stamps_of(parts_of(path))
        case "safetensors" | "mlx":
            return stamps_of(stamped_files(path))
        case _:
            return ()
