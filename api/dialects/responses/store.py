"""Responses that can be fetched, gone on from, followed and cancelled, for as long as the server lives."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from api.answering.result import Choice
from api.dialects.responses.codec import ResponseCodec
from api.dialects.responses.items import said
from api.dialects.responses.request import Asked
from api.errors import Cancelled, NoRoute
from engine.types import Done, Failed, Message

if TYPE_CHECKING:
    from api.security.credentials import Principal
    from engine import Stream

MOST: Final = 256
"""Responses that are kept; the oldest go first."""


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

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, kept: Kept) -> None:
        self._kept[kept.response["id"]] = kept
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def find(self, id: str, principal: Principal) -> Kept:
        """Raises NoRoute for one that is not there or another's."""
        kept = self._kept.get(id)
        if kept is None or (kept.owner != principal.name and "admin" not in principal.scopes):
            raise NoRoute(f"There is no response {id[:80]!r}.", "It is unknown or no longer kept.")
        return kept

    def drop(self, id: str) -> None:
        self._kept.pop(id, None)

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
