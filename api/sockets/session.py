"""`/ws/chat/v2`: several streams over one socket, which can be cancelled, and resumed over another one.

    client   {type: "start", id?, prompt | messages, model?, adapter?, max_tokens?, …}
             {type: "cancel", id}        {type: "resume", id, after?}
    server   {type: queued | loading | token | done | error, id, seq, …}

`after` is the last `seq` that came through; without it everything that is kept comes again. An `error` without `seq`
is about a message, not a stream. A stream whose socket goes is kept for a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from api import errors
from api.errors import NoRoute
from api.reading.fields import Fields
from api.sockets.asking import request_of
from api.sockets.generation import Generation
from api.sockets.socket import Socket, owner_of
from engine.errors import HearthError, InvalidRequest

if TYPE_CHECKING:
    from api.hub import Hub
    from api.security.credentials import Principal

MOST_AT_ONCE: Final = 64
"""Streams that one socket may have running."""
MOST_KNOWN: Final = 4096
_ID: Final = re.compile(r"[\w.:-]{1,80}", re.ASCII)


class Generations:
    """Those of one server, by caller and id."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Generation] = {}

    def start(self, hub: Hub, principal: Principal, message: dict[str, Any], socket: Socket) -> Generation:
        """Begin one. Raises InvalidRequest, ModelNotFound, RateLimited and what else a start may be refused for."""
        self._forget()
        said = message.pop("id", None)
        id = said if said is not None else secrets.token_hex(16)
        key = (owner_of(principal), _checked(id))
        if key in self._known:
            raise InvalidRequest(f"There is a stream {id!r} already.", fix="Choose another id.", param="id")
        if len(self._known) >= MOST_KNOWN:
            self._drop_oldest()
        asked = request_of(message, hub, principal, id)
        with contextlib.ExitStack() as held:
            held.enter_context(socket.taken())
            made = self._known[key] = Generation(hub, principal, asked, held.pop_all())
        return made

    def find(self, principal: Principal, id: Any) -> Generation:
        """The stream of that caller and id. Raises NoRoute."""
        self._forget()
        found = self._known.get((owner_of(principal), _checked(id)))
        if found is None:
            raise NoRoute(
                f"There is no stream {id!r}.",
                "It was never started, or ended more than a minute ago.",
                "Start it again.",
            )
        return found

    def _forget(self) -> None:
        now = time.monotonic()
        for key in [key for key, each in self._known.items() if each.ended and each.over(now)]:
            del self._known[key]

    def _drop_oldest(self) -> None:
        for key, each in self._known.items():
            if each.ended:
                del self._known[key]
                return


class SessionChat(Socket):
    """Reads messages in one task and sends frames in another for each stream."""

    def __init__(self, socket: Any, generations: Generations) -> None:
        super().__init__(socket)
        self._generations = generations
        self._sendings: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        while True:
            id = None
            try:
                message = await self.receive()
                id = message.get("id")
                self._hear(message)
            except HearthError as error:
                told = {"type": "error", "id": id if isinstance(id, str) else None}
                async with self._turn:
                    await self.send({**told, **errors.body_of(error.info, "hub")})

    async def closed(self) -> None:
        for sending in self._sendings.values():
            sending.cancel()

    def _hear(self, message: dict[str, Any]) -> None:
        kind = message.pop("type", None)
        if kind == "start":
            if len(self._sendings) >= MOST_AT_ONCE:
                raise InvalidRequest(
                    "Too many streams run over this socket.",
                    f"At most {MOST_AT_ONCE}.",
                    "Wait for some to end.",
                )
            self._attend(self._generations.start(self.hub, self.principal, message, self), 0)
        elif kind == "cancel":
            self._generations.find(self.principal, message.get("id")).cancel()
        elif kind == "resume":
            after = Fields(message).take("after", int)
            found = self._generations.find(self.principal, message.get("id"))
            begin = found.first if after is None else after + 1
            if not found.first <= begin <= found.end:
                raise InvalidRequest(
                    "The stream cannot be resumed from there.",
                    f"Frames {found.first} to {found.end - 1} are kept.",
                    param="after",
                )
            self._attend(found, begin)
        else:
            raise InvalidRequest("`type` is start, cancel or resume.", param="type")

    def _attend(self, generation: Generation, begin: int) -> None:
        before = self._sendings.pop(generation.id, None)
        if before is not None:
            before.cancel()
        generation.taken_by(reader := object())
        task = asyncio.create_task(self._send_frames(generation, reader, begin))
        self._sendings[generation.id] = task

    async def _send_frames(self, generation: Generation, reader: object, seq: int) -> None:
        """Send frames from `seq` on as they come, until the last, or until somebody else resumes the stream."""
        try:
            generation.read_to(seq)
            while generation.has(reader):
                generation.news.clear()
                while seq < generation.end and generation.has(reader):
                    if seq < generation.first:
                        return
                    async with self._turn:
                        await self.send_raw(generation.frames[seq - generation.first])
                    seq += 1
                    generation.read_to(seq)
                if generation.ended and seq >= generation.end:
                    return
                await generation.news.wait()
        except Exception:
            # The socket is gone, which its reader notices; the stream waits for somebody to come back.
            return
        finally:
            generation.left_by(reader)
            if self._sendings.get(generation.id) is asyncio.current_task():
                del self._sendings[generation.id]


def _checked(id: Any) -> str:
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise InvalidRequest("`id` is a word of at most 80 letters, digits, `.`, `:`, `-`.", param="id")
    return id
