"""Where the bytes of one file come from: the hub's address for it, then the storage that it redirects to.

The storage's address is kept for the ranges that follow, so that the hub is asked once a file and not once a megabyte;
such addresses are signed and expire, and then the hub is asked again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx2

from engine.errors import HubUnavailable, PullFailed
from engine.hub import addresses
from engine.hub.client import Client, Pace
from engine.hub.refusals import refusal
from engine.text_safety import plain
from engine.types import HubFile

_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
MOST_RENEWALS: Final = 3


class NoRanges(Exception):
    """The server sends the whole file, whatever part of it is asked for."""


class Source:
    """The file `file` of `repository` at `commit`."""

    def __init__(self, client: Client, repository: str, commit: str, file: HubFile) -> None:
        self.file = file
        self._client, self._repository = client, repository
        self._hub = addresses.file(client.access, repository, commit, file.path)
        self._storage: str | None = None

    @property
    def pace(self) -> Pace:
        return self._client.pace

    @property
    def offline(self) -> bool:
        return self._client.access.offline

    @asynccontextmanager
    async def range(self, begin: int, end: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes from `begin` up to `end` (not included), as they come.

        Raises NoRanges where the server has none, and what `Client.opened` and `refusals.refusal` give.
        """
        async with self._opened({"Range": f"bytes={begin}-{end - 1}"}) as answer:
            if answer.status_code == 206:
                said = _RANGE.fullmatch(answer.headers.get("content-range", ""))
                wanted = (begin, end - 1, self.file.size)
                if said is None or tuple(int(number[:19]) for number in said.groups()) != wanted:
                    raise self._other("another part of it was sent than was asked for")
            elif begin > 0 or end < self.file.size:
                raise NoRanges
            yield _bounded(answer, end - begin)

    @asynccontextmanager
    async def whole(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """All bytes of the file, from its beginning."""
        async with self._opened({}) as answer:
            yield _bounded(answer, self.file.size)

    @asynccontextmanager
    async def _opened(self, headers: dict[str, str]) -> AsyncIterator[httpx2.Response]:
        # Packed on the way, ranges would not be those of the file.
        headers = {**headers, "Accept-Encoding": "identity"}
        for renewal in range(MOST_RENEWALS):
            storage = self._storage
            async with self._client.opened(storage or self._hub, headers=headers) as answer:
                expired = storage is not None and answer.status_code in (400, 401, 403, 404, 410)
                if expired and renewal + 1 < MOST_RENEWALS:
                    self._storage = None
                    continue
                self._check(answer)
                if storage is None and str(answer.url) != self._hub:
                    self._storage = str(answer.url)
                yield answer
                return

    def _check(self, answer: httpx2.Response) -> None:
        if answer.status_code not in (200, 206):
            raise refusal(
                answer.status_code,
                answer.headers,
                self._client.access,
                self._repository,
                path=self.file.path,
            )
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise self._other("it was packed on the way")
        noted = answer.extensions.get("noted", {})
        etag = noted.get("x-linked-etag", "").removeprefix("W/").strip('"')
        if etag and self.file.sha256 and etag != self.file.etag:
            raise self._other("the hub names another content for it now")
        size = noted.get("x-linked-size", "")
        if size and size != str(self.file.size):
            raise self._other("it has another length now")

    def _other(self, why: str) -> PullFailed:
        return PullFailed(
            f"{plain(self.file.path, 120)} is not the file that the hub listed.",
            f"{why[0].upper()}{why[1:]}.",
            "Pull it again; check hub.endpoint and proxies if it stays so.",
        )


async def _bounded(answer: httpx2.Response, most: int) -> AsyncIterator[bytes]:
    """The body as it comes, `most` bytes and no more. Raises HubUnavailable where it breaks off."""
    left = most
    # As it comes: what is gathered into larger chunks is lost when the connection breaks. To the very end: a connection
    # whose answer was not read whole cannot be used again.
    async for piece in answer.aiter_raw():
        if not left:
            return
        piece = piece[:left]
        left -= len(piece)
        yield piece
    if left:
        raise HubUnavailable("The connection broke off.", f"{left} bytes were still to come.", "Try again.")
