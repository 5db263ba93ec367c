"""A generation that outlives its socket: its frames are numbered and kept for a while, for whoever comes back.

Frames are `{type, id, seq, …}`: `queued` (position, eta_s), `loading` (stage, fraction), `token` (text, kind, choice),
`done` (reason, model, usage, timings), `error` (error, detail). `seq` counts 0, 1, 2 … within an id. A reader who is
behind holds up the reading of the engine's stream, which joins text meanwhile, so that what is kept stays small.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from api import errors
from api.dialects.openai.usage import timings_of
from engine.errors import ErrorInfo
from engine.types import (
    Admitted,
    Delta,
    Done,
    Failed,
    Finished,
    GenerationRequest,
    Loading,
    Prefill,
    Queued,
    StreamEvent,
)

if TYPE_CHECKING:
    from api.hub import Hub
    from api.security.credentials import Principal
    from engine import Stream

KEPT_S: Final = 60.0
"""How long a generation that nobody reads goes on, and one that has ended can be asked for."""
MOST_KEPT: Final = 4 * 2**20
"""Bytes of frames that are kept of one generation; the oldest go first."""
MOST_BEHIND: Final = 256
"""Frames by which a reader may be behind before the engine's stream is left to wait."""
_encoder = msgspec.json.Encoder()


class Generation:
    """One id of a caller. Counts among the server's answers while it runs."""

    def __init__(
        self, hub: Hub, principal: Principal, asked: GenerationRequest, held: contextlib.ExitStack
    ) -> None:
        self.id, self.principal = asked.id, principal
        self._hub, self._held = hub, held
        self.frames: list[bytes] = []
        self.first = 0
        """`seq` of the first frame that is kept."""
        self.ended = False
        self.news = asyncio.Event()
        """Set when there is a frame more; a reader clears it."""
        self._size = 0
        self._why: ErrorInfo | None = None
        self._reasons: dict[int, str] = {}
        self._read_to = 0
        self._room = asyncio.Event()
        self._reader: object | None = None
        self._left = time.monotonic()
        self._asked, self._started = asked, time.monotonic()
        self._stream: Stream = hub.engine.generate(asked)
        hub.enter(self)
        self._task = asyncio.create_task(self._follow(), name="socket-generation")

    @property
    def end(self) -> int:
        """`seq` that the next frame will have."""
        return self.first + len(self.frames)

    def cancel(self) -> None:
        """End it; its last frame says so."""
        self._stream.cancel()

    # --- readers

    def taken_by(self, reader: object) -> None:
        """From now on `reader` gets it, and whoever had it before does not."""
        self._reader = reader

    def has(self, reader: object) -> bool:
        return self._reader is reader

    def read_to(self, seq: int) -> None:
        """The reader has everything before `seq`."""
        self._read_to = seq
        self._room.set()

    def left_by(self, reader: object) -> None:
        """`reader` is gone; for a while somebody may come back."""
        if self._reader is reader:
            self._reader = None
            self._left = time.monotonic()
            self._room.set()

    def over(self, now: float) -> bool:
        """Whether nobody is going to ask for it any more."""
        return self._reader is None and now - self._left > KEPT_S

    # --- as the server looks after its answers

    def stop(self, why: ErrorInfo) -> None:
        """End it with `why`."""
        if self._why is None:
            self._why = why
            self._stream.cancel()

    def tick(self, now: float) -> None:
        """Called every second while it runs: what nobody has read for a while ends."""
        if self.over(now):
            self._stream.cancel()

    # --- inside

    async def _follow(self) -> None:
        try:
            async for event in self._stream:
                if isinstance(event, Done | Failed):
                    self._hub.note(self._asked, event, time.monotonic() - self._started)
                frame = self._frame(event)
                if frame is not None:
                    self._keep(frame)
                while self._reader is not None and self.end - self._read_to > MOST_BEHIND and not self.ended:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self.ended = True
            self.news.set()
            self._hub.leave(self)
            self._held.close()

    def _frame(self, event: StreamEvent) -> dict[str, Any] | None:
        match event:
            case Queued():
                return {"type": "queued", "position": event.position, "eta_s": event.eta_s}
            case Loading():
                return {"type": "loading", "stage": event.stage, "fraction": event.fraction}
            case Admitted():
                cut = bool(event.dropped_messages or event.dropped_tokens)
                found: dict[str, Any] = {"type": "loading", "stage": "prefill", "fraction": 0.0}
                return {**found, "prompt_tokens": event.prompt_tokens, "truncated": cut}
            case Prefill():
                return {"type": "loading", "stage": "prefill", "fraction": event.done / max(1, event.total)}
            case Delta() if event.text:
                return {"type": "token", "text": event.text, "kind": event.kind, "choice": event.choice}
            case Finished():
                self._reasons[event.choice] = event.reason
                return None
            case Done() if event.reason == "cancelled" and self._why is not None:
                return self._error(self._why)
            case Done():
                self._hub.meter.add(event.usage, event.timings)
                reason = "cancelled" if event.reason == "cancelled" else self._reasons.get(0, event.reason)
                usage = msgspec.structs.asdict(event.usage) | {"total_tokens": event.usage.total_tokens}
                return {
                    "type": "done",
                    "reason": reason,
                    "model": event.model,
                    "usage": usage,
                    "timings": timings_of(event.usage, event.timings),
                }
            case Failed():
                return self._error(self._why or event.error)
            case _:
                return None

    def _error(self, error: ErrorInfo) -> dict[str, Any]:
        return {"type": "error", **errors.body_of(error, "hub"), "retryable": error.retryable}

    def _keep(self, frame: dict[str, Any]) -> None:
        kind = frame.pop("type")
        data = _encoder.encode({"type": kind, "id": self.id, "seq": self.end, **frame})
        self.frames.append(data)
        self._size += len(data)
        while self._size > MOST_KEPT and len(self.frames) > 1:
            self._size -= len(self.frames.pop(0))
            self.first += 1
        self.ended = self.ended or kind in ("done", "error")
        self.news.set()
