"""Native streams end as the engine's do: a cancel and a failure are told as the events that they are."""

from __future__ import annotations

from api.answering.codec import Codec
from api.answering.live import Live
from engine.types import Done, Failed


class NativeLive(Live):
    """A `Live` whose reader is an engine's face, so that nothing of the last event may be lost."""

    async def _break_off(self, codec: Codec, event: Failed | Done) -> None:
        if self._gone or self._why is not None or not (self._started or isinstance(event, Done)):
            await super()._break_off(codec, event)
            return
        if not self._started:
            await self._begin(codec, event)
        await self._put(codec.event(event), more=False)
