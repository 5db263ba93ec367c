"""Fetches the files of a pull into the cache: several at once, each under the lock that other programs take too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import filelock

from engine.errors import StorageFailed
from engine.hub.client import Client
from engine.hub.disk import explained
from engine.hub.fetch import Fetch
from engine.hub.layout import Layout
from engine.hub.partial import Partial
from engine.hub.source import Source
from engine.hub.tally import Tally
from engine.hub.tasks import ended, to_the_end
from engine.types import HubFile

FILES_AT_ONCE: Final = 4
LOCK_POLL: Final = 0.25


class Transfer:
    """Fetches `files` of one repository at one commit; what is in the cache already is left alone."""

    def __init__(
        self,
        client: Client,
        layout: Layout,
        repository: str,
        commit: str,
        files: Sequence[HubFile],
        tally: Tally,
        *,
        connections: int,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._client, self._layout, self._tally, self._note = client, layout, tally, note
        self._repository, self._commit = repository, commit
        # A repository may hold the same content twice; it is one blob. Small files first: they fail first.
        self._files = sorted({file.etag: file for file in files}.values(), key=lambda file: file.size)
        self._connections = asyncio.Semaphore(connections)
        self._width = connections
        self._turn = asyncio.Semaphore(FILES_AT_ONCE)

    async def run(self) -> None:
        """Fetch everything. Raises HearthError; what is here by then stays, also if it is cancelled."""
        tasks = [asyncio.ensure_future(self._file(file)) for file in self._files]
        try:
            await asyncio.gather(*tasks)
        finally:
            await ended(tasks)

    def _source(self, file: HubFile) -> Source:
        return Source(self._client, self._repository, self._commit, file)

    async def _file(self, file: HubFile) -> None:
        async with self._turn, self._locked(file):
            if not await asyncio.to_thread(self._layout.is_here, file):
                blob = self._layout.blob(file)
                partial = Partial(blob, file.size)
                try:
                    with explained(self._layout.cache):
                        await to_the_end(partial.open)
                    await Fetch(
                        self._source(file), partial, self._tally, self._connections, self._width, self._note
                    ).run()
                    with explained(self._layout.cache):
                        await to_the_end(partial.finish)
                finally:
                    partial.close()
            else:
                self._tally.done += file.size
            self._tally.files_done += 1

    @asynccontextmanager
    async def _locked(self, file: HubFile) -> AsyncIterator[None]:
        lock = self._layout.lock(file)
        try:
            while True:
                try:
                    await to_the_end(lambda: lock.acquire(timeout=0))
                    break
                except filelock.Timeout:
                    self._tally.locked.add(file.path)
                    await asyncio.sleep(LOCK_POLL)
                except (OSError, NotImplementedError) as error:
                    raise StorageFailed(
                        f"The model cache at {self._layout.cache} cannot be locked.",
                        f"{error}.",
                        "Move it to a local disk with HF_HUB_CACHE or HF_HOME.",
                    ) from None
            self._tally.locked.discard(file.path)
            yield
        finally:
            self._tally.locked.discard(file.path)
            lock.release(force=True)
