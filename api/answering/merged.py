"""Several generations as one stream: each one's choices follow those of the one before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import force_setattr, replace

from engine.types import (
    Admitted,
    Delta,
    Done,
    Failed,
    Finished,
    Loading,
    Prefill,
    Queued,
    Shifted,
    StreamEvent,
    ToolDelta,
    Usage,
)

if TYPE_CHECKING:
    from engine import Stream


class Merged:
    """See `engine.face.Stream`; `width` is how many choices each has. `Admitted` comes once, when all are in.

    The prompts' probabilities stay with their own: `admissions`, in order.
    """

    def __init__(self, id: str, streams: Sequence[Stream], width: int) -> None:
        self.id = id
        self.admissions: list[Admitted | None] = [None] * len(streams)
        self._streams, self._width = streams, width
        self._events: asyncio.Queue[tuple[int, StreamEvent]] = asyncio.Queue(maxsize=256)
        self._failed: Failed | None = None

    def cancel(self) -> None:
        for stream in self._streams:
            stream.cancel()

    async def __aiter__(self) -> AsyncIterator[StreamEvent]:
        pumps = [asyncio.create_task(self._pump(place, each)) for place, each in enumerate(self._streams)]
        ended: list[Done] = []
        try:
            while len(ended) < len(self._streams):
                place, event = await self._events.get()
                if isinstance(event, Failed):
                    self.cancel()
                    yield event
                    return
                if isinstance(event, Done):
                    if event.reason == "cancelled":
                        self.cancel()
                        yield event
                        return
                    ended.append(event)
                    continue
                if isinstance(event, Admitted):
                    self.admissions[place] = event
                    if None in self.admissions:
                        continue
                    event = _admitted([each for each in self.admissions if each is not None])
                elif isinstance(event, Delta | ToolDelta | Finished | Shifted):
                    # Each stream is read here alone.
                    force_setattr(event, "choice", event.choice + place * self._width)
                elif isinstance(event, Queued | Loading | Prefill) and place:
                    continue
                yield event
            yield _done(ended)
        finally:
            for pump in pumps:
                pump.cancel()

    async def _pump(self, place: int, stream: Stream) -> None:
        async for event in stream:
            await self._events.put((place, event))


def _admitted(each: Sequence[Admitted]) -> Admitted:
    return replace(
        each[0],
        prompt_tokens=sum(one.prompt_tokens for one in each),
        cached_tokens=sum(one.cached_tokens for one in each),
        dropped_messages=sum(one.dropped_messages for one in each),
        dropped_tokens=sum(one.dropped_tokens for one in each),
        prompt_logprobs=None,
    )


def _done(each: Sequence[Done]) -> Done:
    usages = [done.usage for done in each]
    total = Usage(**{name: sum(getattr(one, name) for one in usages) for name in Usage.__struct_fields__})
    last = max(each, key=lambda done: done.timings.ended)
    return replace(last, usage=total)
