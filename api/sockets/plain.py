"""`/ws/chat`: a client sends `{prompt | messages, model?, adapter?, max_tokens?}` and gets one whole answer for each.

The answer is that of `POST /chat` (`response`, `model`, `usage` and more); what cannot be answered is
`{"detail": text, "error": code}`, and the socket stays open.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from api.answering.result import collect
from api.dialects.hub.chat import ChatAnswer
from api.sockets.asking import request_of
from api.sockets.socket import Socket
from engine.errors import HearthError
from engine.types import Done, Failed, GenerationRequest, StreamEvent

if TYPE_CHECKING:
    from engine import Stream


class PlainChat(Socket):
    """One message after the other; the next is read when the last is answered."""

    _count = 0

    async def run(self) -> None:
        while True:
            try:
                await self._answer(await self.receive())
            except HearthError as error:
                await self.refuse(error)

    async def _answer(self, message: dict[str, Any]) -> None:
        self._count += 1
        asked = request_of(message, self.hub, self.principal, f"{self.id}-{self._count}")
        with self.taken():
            stream = self.hub.engine.generate(asked)
            started = time.monotonic()
            try:
                result = await collect(self._noted(stream, asked, started))
            finally:
                stream.cancel()
        self.hub.meter.add(result.usage, result.timings)
        names = ", ".join(name for name, _ in result.adapter_names) or None
        await self.send_raw(ChatAnswer(result.model, names).body(result))

    async def _noted(
        self, stream: Stream, asked: GenerationRequest, started: float
    ) -> AsyncIterator[StreamEvent]:
        async for event in stream:
            if isinstance(event, Done | Failed):
                self.hub.note(asked, event, time.monotonic() - started)
            yield event
