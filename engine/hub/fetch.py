"""Fetches one file: in pieces, over several connections, verified, and resumable at any moment.

A connection asks for the rest of one piece, and for the next only when the last is written and in the journal. So what
a kill costs is bounded by the pieces that are on their way, however much the buffers in between hold: `connections`
times 1 MiB. While pieces come, the file is hashed behind them, from its beginning. If the whole does not have the hash
that the hub listed, pieces are fetched again, those of the beginning first, until it does: those that came out alike
are kept.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from engine.errors import HubUnavailable, PullFailed, StorageFailed
from engine.hub.disk import explained
from engine.hub.partial import PIECE, Partial, Whole
from engine.hub.source import NoRanges, Source
from engine.hub.tally import Tally
from engine.hub.tasks import ended, to_the_end
from engine.text_safety import plain

HASHED_AT_ONCE: Final = 16
"""Pieces that are hashed in one go on a thread."""
MOST_DAMAGED: Final = 8
"""Pieces that may come back from the disk other than they were written, before the disk is given up."""
EARLY_CHECKS: Final = 4
"""How often the whole is hashed anew while pieces are being fetched again, before all of them were."""


class Fetch:
    """The fetching of one file, whose lock is held. Of `connections` it takes `width` at most."""

    def __init__(
        self,
        source: Source,
        partial: Partial,
        tally: Tally,
        connections: asyncio.Semaphore,
        width: int,
        note: Callable[[str], None],
    ) -> None:
        self._source, self._partial, self._tally, self._note = source, partial, tally, note
        self._connections, self._width = connections, width
        self._file = source.file
        self._todo: deque[int] = deque(partial.missing())
        self._news = asyncio.Event()
        """Set when a piece has been written."""
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
        tasks += [asyncio.ensure_future(self._connection()) for _ in range(self._width)]
        try:
            await asyncio.gather(*tasks)
        finally:
            self._tally.verifying.discard(self._file.path)
            await ended(tasks)
        return hashing.result()

    async def _connection(self) -> None:
        while self._todo:
            await self._fetch(self._todo.popleft())

    async def _fetch(self, index: int) -> bool:
        """Fetch a piece and keep it; whether it differs from what was there. One connection the while."""
        async with self._connections:
            return await self._put(index, await self._piece(index))

    async def _put(self, index: int, data: bytearray) -> bool:
        with explained(self._partial.folder):
            async with self._writing:
                is_new = not self._partial.has(index)
                changed = await to_the_end(self._partial.write, index, data)
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
                async with self._connections, self._source.whole() as chunks:
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
                        f"The disk of the model cache at {self._partial.folder} gives back other bytes than "
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

        with explained(self._partial.folder):
            at, sound = await to_the_end(work)
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
                try:
                    await self._fetch(index)
                except NoRanges:
                    await self._in_one()
        return whole.right

    async def _mend(self) -> None:
        """The file is complete and wrong: find the piece that was sent wrongly. Raises PullFailed if it stays wrong."""
        self._note(f"{plain(self._file.path, 60)} does not have its checksum; its parts are fetched again.")
        early, differs = 0, False
        step = self._width
        self._todo.clear()
        try:
            for first in range(0, self._partial.pieces, step):
                indices = range(first, min(first + step, self._partial.pieces))
                fetched = [asyncio.ensure_future(self._fetch(index)) for index in indices]
                try:
                    changed = await asyncio.gather(*fetched)
                finally:
                    await ended(fetched)
                for index, other in zip(indices, changed, strict=True):
                    self._tally.mended += self._partial.length(index) if other else 0
                differs = differs or any(changed)
                if any(changed) and early < EARLY_CHECKS:
                    early += 1
                    if await self._check():
                        return
                    differs = False
        except NoRanges:
            await to_the_end(self._forget_all)
            await self._in_one()
            differs = True
        if differs and await self._check():
            return
        await to_the_end(self._partial.discard)
        raise PullFailed(
            f"{plain(self._file.path, 120)} does not have the checksum that the hub lists for it.",
            "It was fetched twice. What was fetched is thrown away; nothing of it can be loaded.",
            "Try again later, or from another mirror; tell the owner of the repository if it stays so.",
        )

    def _forget_all(self) -> None:
        for index in range(self._partial.pieces):
            self._partial.forget(index)

    async def _wait(self, problem: HubUnavailable, tried: int) -> None:
        pace = self._source.pace
        if self._source.offline or tried >= pace.tries:
            raise problem
        seconds = pace.wait(tried, problem.retry_after_s)
        self._tally.waiting[self._file.path] = time.monotonic() + seconds
        self._tally.trouble = f"{problem.what} {problem.why}".strip()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._tally.waiting.pop(self._file.path, None)
