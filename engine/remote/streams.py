"""A generation and a pull of another process, followed over HTTP into the streams that panes read.

A generation ends with its connection: the other side lets go of it, and here it ends in an error that says so. A pull
goes on without anybody looking, so that one whose connection broke is found again by its id.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec

from engine.errors import HearthError, InternalError, ModelUnavailable
from engine.hub.stream import PullStream
from engine.remote.refusals import foreign, lost
from engine.stream import EventStream
from engine.types import Done, Failed, GenerationRequest, PullRequest, PullState, StreamEvent

if TYPE_CHECKING:
    from engine.remote.link import Link

CANCEL_S: Final = 3.0
"""How long the other side may take to end what was cancelled; then the connection is closed, which ends it too."""
AGAIN_S: Final = 1.0
PATIENCE_S: Final = 120.0
"""How long a pull whose connection broke is looked for."""
_events = msgspec.json.Decoder(StreamEvent)
_states = msgspec.json.Decoder(PullState)


class Generation:
    """Follows one request into `stream`. Lives on the link's loop."""

    def __init__(self, link: Link, request: GenerationRequest, stream: EventStream) -> None:
        self._link, self._request, self.stream = link, request, stream
        self._task: asyncio.Task[None] | None = None
        self._cancelling: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        """Push events until the terminal one; there is always one."""
        self._task = asyncio.current_task()
        try:
            await self._listen()
        except HearthError as error:
            self._end(Failed(error=error.info))
        except asyncio.CancelledError:
            self._end(self._cancelled())
            raise
        except Exception as error:
            defect = InternalError("The answer cannot be followed.", f"{type(error).__name__}: {error}")
            self._end(Failed(error=defect.info))
        if not self.stream.ended:
            self._end(Failed(error=lost(self._link.address, "The answer broke off in the middle").info))

    async def _listen(self) -> None:
        from engine.remote.pictures import carried

        request = await carried(self._request)
        apart = self._link.clock_ns
        async for data in self._link.events("generate", request):
            try:
                event = _events.decode(data)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise foreign(self._link.address, f"{error}.") from None
            if apart:
                # Made for this stream alone and seen by nobody yet.
                msgspec.structs.force_setattr(event, "t_ns", event.t_ns + apart)
            self.stream.push(event)
            if self.stream.ended:
                return

    def cancel(self) -> None:
        """Ask the other side to end it; if it does not, leave. On the loop."""
        if self._cancelling is None and not self.stream.ended:
            self._cancelling = asyncio.get_running_loop().create_task(self._cancel())

    async def _cancel(self) -> None:
        until = time.monotonic() + CANCEL_S
        while not self.stream.ended and time.monotonic() < until:
            try:
                # It may not have come there yet, so once is not enough.
                await self._link.ask("DELETE", f"running/{self.stream.id}", dict)
            except HearthError:
                break
            await asyncio.sleep(0.05)
        if not self.stream.ended and self._task is not None:
            self._task.cancel()

    def _cancelled(self) -> Done:
        return Done(reason="cancelled", model=self._request.model)

    def _end(self, event: Done | Failed) -> None:
        self.stream.push(event)


class Pull:
    """Follows one pull into `stream`. Lives on the link's loop."""

    def __init__(self, link: Link, request: PullRequest, stream: PullStream) -> None:
        self._link, self._request = link, request
        self.stream = stream
        self._state: PullState | None = None
        self._begun = asyncio.Event()

    async def follow(self) -> None:
        """Push states until one has ended."""
        try:
            await self._listen()
        except HearthError as error:
            self._fail(error)

    async def _listen(self) -> None:
        try:
            async for data in self._link.events("pull", self._request):
                self._push(_states.decode(data))
                if self._ended:
                    return
        except ModelUnavailable:
            if self._state is None:
                raise
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise foreign(self._link.address, f"{error}.") from None
        await self._find_again()

    async def _find_again(self) -> None:
        """Look for the pull in the list until it has ended. Raises HearthError after a while without an answer."""
        assert self._state is not None
        until = time.monotonic() + PATIENCE_S
        while not self._ended:
            try:
                states: list[PullState] = await self._link.ask("GET", "pulls", list[PullState])
            except ModelUnavailable:
                if time.monotonic() > until:
                    raise
            else:
                until = time.monotonic() + PATIENCE_S
                there = next((state for state in states if state.id == self._state.id), None)
                if there is None:
                    raise lost(self._link.address, "It knows nothing of this pull any more")
                if there != self._state:
                    self._push(there)
            if not self._ended:
                await asyncio.sleep(AGAIN_S)

    async def cancel(self) -> None:
        """Give it up."""
        # Under which id it goes there is known with its first state.
        await self._begun.wait()
        if self._state is not None and not self._ended:
            await self._link.ask("DELETE", f"pulls/{self._state.id}", dict)

    @property
    def _ended(self) -> bool:
        return self._state is not None and self._state.ended

    def _push(self, state: PullState) -> None:
        self._state = state
        self._begun.set()
        self.stream.id = state.id
        self.stream.push(state)

    def _fail(self, error: HearthError) -> None:
        last = self._state or PullState(id=self.stream.id, model=self._request.model)
        self._push(msgspec.structs.replace(last, stage="failed", error=error.info))
