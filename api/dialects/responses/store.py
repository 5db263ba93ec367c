"""Responses that can be fetched, gone on from, followed and cancelled.

Those that have ended are written to the server's store, on a thread beside, and outlive the server; the last ones are
in memory too.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import msgspec

from api.answering.result import Choice
from api.dialects.responses.codec import ResponseCodec
from api.dialects.responses.items import said
from api.dialects.responses.keeping import Record, asked_of, read, written
from api.dialects.responses.request import Asked
from api.errors import Cancelled, NoRoute
from engine.types import Done, Failed, Message

if TYPE_CHECKING:
    from api.security.credentials import Principal
    from engine import Stream
    from engine.store.server import ServerStore

_log = logging.getLogger("hearth.server")
MOST: Final = 256
"""Responses that are kept in memory; the oldest go first."""
ENDED: Final = ("completed", "incomplete", "failed", "cancelled")


class Kept:
    """One response: its object, the conversation up to it, and the events of one that runs in the background."""

    def __init__(self, asked: Asked, owner: str) -> None:
        self.asked, self.owner = asked, owner
        self.response: dict[str, Any] = dict(asked.envelope)
        self.messages: tuple[Message, ...] = ()
        self.events: list[bytes] = []
        self.ended = False
        self.stream: Stream | None = None
        self._grown = asyncio.Event()

    def finish(self, response: dict[str, Any], choice: Choice) -> None:
        """The answer is there, or has failed."""
        if self.response["status"] != "cancelled":
            self.response = response
        # Instructions are not handed on.
        before = self.asked.request.messages or ()
        before = before[1:] if self.response["instructions"] else before
        self.messages = (*before, said(choice))

    def add(self, pieces: bytes) -> None:
        """Events have come."""
        for piece in pieces.split(b"\n\n"):
            if piece:
                self.events.append(piece + b"\n\n")
        self.wake()

    def wake(self) -> None:
        """Let those who follow look again."""
        self._grown.set()
        self._grown = asyncio.Event()

    async def more(self) -> None:
        """Wait until something has come."""
        await self._grown.wait()


class Responses:
    """Those of one server."""

    def __init__(self, store: ServerStore) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._store = store
        self._writer = ThreadPoolExecutor(1, "server-store")
        self._dropped: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, kept: Kept) -> None:
        self._kept[kept.response["id"]] = kept
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        if kept.response["status"] in ENDED:
            record = Record(response=kept.response, items=kept.asked.items, messages=kept.messages)
            self._soon(lambda: self._write(kept.response["id"], kept.owner, record))

    def find(self, id: str, principal: Principal) -> Kept:
        """Raises NoRoute for one that is not there or another's."""
        kept = self._kept.get(id) or self._read(id)
        if kept is None or (kept.owner != principal.name and "admin" not in principal.scopes):
            raise NoRoute(f"There is no response {id[:80]!r}.", "It is unknown or no longer kept.")
        return kept

    def drop(self, id: str) -> None:
        self._kept.pop(id, None)
        self._dropped.add(id)
        self._soon(lambda: self._forget(id))

    def close(self) -> None:
        """Wait until everything is written."""
        self._writer.shutdown()

    def _soon(self, work: Callable[[], None]) -> None:
        try:
            self._writer.submit(work).add_done_callback(_complain)
        except RuntimeError:
            _log.warning("a response could not be kept: the server is ending")

    def _write(self, id: str, owner: str, record: Record) -> None:
        data = written(record)
        if data is not None and id not in self._dropped:
            self._store.save_response(id, owner, data)

    def _forget(self, id: str) -> None:
        self._store.forget_response(id)
        self._dropped.discard(id)

    def _read(self, id: str) -> Kept | None:
        """The response that an earlier server kept."""
        found = self._store.response(id) if id not in self._dropped else None
        if found is None:
            return None
        try:
            record = read(found[1])
        except msgspec.MsgspecError:
            _log.warning("the response %s cannot be read", id[:80])
            return None
        kept = Kept(asked_of(record), found[0])
        kept.response, kept.messages, kept.ended = record.response, record.messages, True
        return kept

    def run(self, kept: Kept, stream: Stream, id: str) -> None:
        """Read `stream` to its end behind the client's back."""
        kept.stream = stream
        task = asyncio.get_running_loop().create_task(self._follow(kept, stream, id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, kept: Kept, stream: Stream, id: str) -> None:
        codec = ResponseCodec(kept.asked, id, kept.finish)
        kept.response = {**kept.response, "status": "in_progress"}
        try:
            async for event in stream:
                if isinstance(event, Failed):
                    kept.add(codec.fail(event.error))
                elif isinstance(event, Done) and event.reason == "cancelled":
                    kept.response = {**kept.asked.envelope, "status": "cancelled", "output": codec.output}
                    kept.add(codec.fail(Cancelled("The response was cancelled.").info))
                else:
                    kept.add(codec.event(event))
        finally:
            kept.ended = True
            kept.wake()
            stream.cancel()


def _complain(done: Future[None]) -> None:
    if (error := done.exception()) is not None:
        _log.warning("a response could not be kept: %s", error)
