"""Fetches files into the cache: in pieces, over several connections, verified, and resumable at any moment.

A connection asks for the rest of one piece, and for the next only when the last is written and in the journal. So what
a kill costs is bounded by the pieces that are on their way, however much the buffers in between hold: `connections`
times 1 MiB. While pieces come, the file is hashed behind them, from its beginning. If the whole does not have the hash
that the hub listed, pieces are fetched again, those of the beginning first, until it does: those that came out alike
are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from engine.errors import DiskFull, HubUnavailable, PullFailed, StorageFailed
from engine.hub.client import Client
from engine.hub.layout import Layout, explained
from engine.hub.partial import PIECE, Partial, Whole
from engine.hub.source import NoRanges, Source
from engine.text_safety import plain
from engine.types import HubFile

FILES_AT_ONCE: Final = 4
HASHED_AT_ONCE: Final = 16
"""Pieces that are hashed in one go on a thread."""
LOCK_POLL: Final = 0.25
MOST_DAMAGED: Final = 8
"""Pieces that may come back from the disk other than they were written, before the disk is given up."""
EARLY_CHECKS: Final = 4
"""How often the whole is hashed anew while pieces are being fetched again, before all of them were."""

_T = TypeVar("_T")


class Tally:
    """What has been fetched so far, of all files of a pull. Written on the loop of the transfer."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.done = 0
        """Bytes that are here."""
        self.fetched = 0
        """Bytes that came over the network."""
        self.files_done = 0
        self.mended = 0
        """Bytes that had to be fetched again because they were wrong."""
        self.waiting: dict[str, float] = {}
        """Files that wait for the network, with the moment (monotonic) of the next try."""
        self.locked: set[str] = set()
        """Files that another program is fetching."""
        self.verifying: set[str] = set()


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
        self._per_file = connections
        self._turn = asyncio.Semaphore(FILES_AT_ONCE)

    async def run(self) -> None:
        """Fetch everything. Raises HearthError; what is here by then stays, also if it is cancelled."""
        tasks = [asyncio.ensure_future(self._file(file)) for file in self._files]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _end(tasks)

    async def _file(self, file: HubFile) -> None:
        async with self._turn, self._locked(file):
            if not await asyncio.to_thread(self._layout.is_here, file):
                blob = self._layout.blob(file)
                partial = Partial(blob, file.size)
                try:
                    with _disk(self._layout.cache):
                        await _to_the_end(partial.open)
                    await _Fetch(self, file, partial).run()
                    with _disk(self._layout.cache):
                        await _to_the_end(partial.finish)
                finally:
                    partial.close()
            else:
                self._tally.done += file.size
            self._tally.files_done += 1

    @asynccontextmanager
    async def _locked(self, file: HubFile) -> AsyncIterator[None]:
        import filelock

        lock = self._layout.lock(file)
        try:
            while True:
                try:
                    await _to_the_end(lambda: lock.acquire(timeout=0))
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


class _Fetch:
    """The fetching of one file, whose lock is held."""

    def __init__(self, transfer: Transfer, file: HubFile, partial: Partial) -> None:
        self._transfer, self._file, self._partial = transfer, file, partial
        self._tally, self._note = transfer._tally, transfer._note
        self._source = Source(transfer._client, transfer._repository, transfer._commit, file)
        self._todo: deque[int] = deque(partial.missing())
        self._news = asyncio.Event()
        """Set when a piece has been written, or is wanted again."""
        self._writing = asyncio.Lock()
        self._tally.done += partial.done

    async def run(self) -> None:
        try:
            right = await self._by_pieces()
        except NoRanges:
            await self._in_one()
            right = await self._check()
        if not right:
            await self._mend()

    async def _by_pieces(self) -> bool:
        """Fetch what is missing while the file is hashed behind it; whether the hash is right."""
        hashing = asyncio.ensure_future(self._follow())
        tasks: list[asyncio.Future[Any]] = [hashing]
        tasks += [asyncio.ensure_future(self._connection()) for _ in range(self._transfer._per_file)]
        try:
            await asyncio.gather(*tasks)
        finally:
            self._tally.verifying.discard(self._file.path)
            await _end(tasks)
        return hashing.result()

    async def _connection(self) -> None:
        while self._todo:
            await self._fetch(self._todo.popleft())

    async def _fetch(self, index: int) -> bool:
        """Fetch a piece and keep it; whether it differs from what was there. One connection the while."""
        async with self._transfer._connections:
            return await self._put(index, await self._piece(index))

    async def _put(self, index: int, data: bytearray) -> bool:
        with _disk(self._transfer._layout.cache):
            async with self._writing:
                is_new = not self._partial.has(index)
                changed = await _to_the_end(self._partial.write, index, data)
        if is_new:
            self._tally.done += len(data)
        self._news.set()
        return changed

    async def _piece(self, index: int) -> bytearray:
        """The bytes of a piece; a connection that breaks is taken up where it broke."""
        begin = index * PIECE
        data = bytearray()
        tried = 0
        while len(data) < (length := self._partial.length(index)):
            before = len(data)
            try:
                async with self._source.range(begin + len(data), begin + length) as chunks:
                    async for chunk in chunks:
                        data += chunk
                        self._tally.fetched += len(chunk)
            except HubUnavailable as problem:
                tried = 1 if len(data) > before else tried + 1
                await self._wait(problem, tried)
        return data

    async def _in_one(self) -> None:
        """For a server without ranges: read the file from its beginning and keep what is missing of it."""
        self._note("The server sends whole files only: what breaks off begins anew.")
        tried = 0
        while self._partial.missing():
            before = self._partial.done
            try:
                async with self._transfer._connections, self._source.whole() as chunks:
                    await self._stream(chunks)
            except HubUnavailable as problem:
                tried = 1 if self._partial.done > before else tried + 1
                await self._wait(problem, tried)

    async def _stream(self, chunks: AsyncIterator[bytes]) -> None:
        index, data = 0, bytearray()
        async for chunk in chunks:
            self._tally.fetched += len(chunk)
            data += chunk
            while index < self._partial.pieces and len(data) >= (length := self._partial.length(index)):
                if not self._partial.has(index):
                    await self._put(index, data[:length])
                del data[:length]
                index += 1

    async def _follow(self) -> bool:
        """Hash the file from its beginning as far as it is there, until it is whole."""
        whole, index, damaged = Whole(self._file.etag, self._file.size), 0, 0
        while index < self._partial.pieces:
            if not self._partial.has(index):
                self._news.clear()
                await self._news.wait()
                continue
            if not self._todo:
                self._tally.verifying.add(self._file.path)
            index, sound = await self._hashed(whole, index)
            if not sound:
                damaged += 1
                if damaged > MOST_DAMAGED:
                    raise StorageFailed(
                        f"The disk of the model cache at {self._transfer._layout.cache} gives back other bytes than "
                        "were written.",
                        fix="Check the disk, or move the cache with HF_HUB_CACHE.",
                    )
                self._note(
                    f"A part of {plain(self._file.path, 60)} was damaged on the disk and is fetched again."
                )
                await self._fetch(index)
        return whole.right

    async def _hashed(self, whole: Whole, index: int) -> tuple[int, bool]:
        """Hash some pieces from `index` on; the first that was not, and whether it is as it was written."""

        def work() -> tuple[int, bool]:
            for at in range(index, min(index + HASHED_AT_ONCE, self._partial.pieces)):
                if not self._partial.has(at):
                    return at, True
                data = self._partial.read(at)
                if data is None:
                    return at, False
                whole.update(data)
            return min(index + HASHED_AT_ONCE, self._partial.pieces), True

        with _disk(self._transfer._layout.cache):
            at, sound = await _to_the_end(work)
        if not sound:
            self._tally.done -= self._partial.length(at)
            self._tally.mended += self._partial.length(at)
        return at, sound

    async def _check(self) -> bool:
        """Hash the whole file as it is now."""
        whole, index = Whole(self._file.etag, self._file.size), 0
        while index < self._partial.pieces:
            index, sound = await self._hashed(whole, index)
            if not sound:
                await self._fetch(index)
        return whole.right

    async def _mend(self) -> None:
        """The file is complete and wrong: find the piece that was sent wrongly. Raises PullFailed if it stays wrong."""
        self._note(f"{plain(self._file.path, 60)} does not have its checksum; its parts are fetched again.")
        early, differs = 0, False
        step = self._transfer._per_file
        self._todo.clear()
        try:
            for first in range(0, self._partial.pieces, step):
                indices = range(first, min(first + step, self._partial.pieces))
                fetched = [asyncio.ensure_future(self._fetch(index)) for index in indices]
                try:
                    changed = await asyncio.gather(*fetched)
                finally:
                    await _end(fetched)
                for index, other in zip(indices, changed, strict=True):
                    self._tally.mended += self._partial.length(index) if other else 0
                differs = differs or any(changed)
                if any(changed) and early < EARLY_CHECKS:
                    early += 1
                    if await self._check():
                        return
                    differs = False
        except NoRanges:
            await _to_the_end(self._forget_all)
            await self._in_one()
            differs = True
        if differs and await self._check():
            return
        await _to_the_end(self._partial.discard)
        raise PullFailed(
            f"{plain(self._file.path, 120)} does not have the checksum that the hub lists for it.",
            "It was fetched twice. What was fetched is thrown away; nothing of it can be loaded.",
            "Try again later, or from another mirror; tell the owner of the repository if it stays so.",
        )

    def _forget_all(self) -> None:
        for index in range(self._partial.pieces):
            self._partial.forget(index)

    async def _wait(self, problem: HubUnavailable, tried: int) -> None:
        pace = self._transfer._client.pace
        if self._transfer._client.access.offline or tried >= pace.tries:
            raise problem
        seconds = pace.wait(tried, problem.retry_after_s)
        self._tally.waiting[self._file.path] = time.monotonic() + seconds
        self._note(f"{problem.what} {problem.why}".strip())
        try:
            await asyncio.sleep(seconds)
        finally:
            self._tally.waiting.pop(self._file.path, None)


@contextlib.contextmanager
def _disk(cache: Path) -> Iterator[None]:
    """Turns a full disk, or one that fails, into an error for people. Raises DiskFull, StorageFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full(cache) from None
        with explained(cache):
            raise


def full(cache: Path, why: str = "It became full during the download.") -> DiskFull:
    """There is no room in the cache."""
    return DiskFull(
        f"The disk of the model cache at {cache} is full.",
        why,
        "Make room (`hearth cache scan` shows what takes it) and pull again: it goes on where it was.",
    )


async def _end(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel what still runs and wait until it has ended: pieces that are being written are."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _to_the_end(work: Callable[..., _T], *arguments: Any) -> _T:
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
