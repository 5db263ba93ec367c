"""The engine's room for the hub: a thread with a loop of its own, so that nobody waits for a download.

The thread starts at the first call, and what is heavy is imported there. Every method may be called from any thread or
loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace

from engine.errors import HearthError, InternalError, InvalidRequest, ModelUnavailable
from engine.hub.access import Access
from engine.hub.reference import parse
from engine.hub.stream import PullStream
from engine.hub.tasks import ended
from engine.text_safety import plain
from engine.types import HubCard, HubFiles, HubModel, HubQuery, PullPlan, PullRequest, PullState

if TYPE_CHECKING:
    from engine.hub.client import Client, Pace
    from engine.hub.plan import Judge
    from engine.hub.pulls import Pulls

SUGGESTED: Final = 3
"""Hits that are named to who asks for a model that nobody knows."""
_WORD: Final = re.compile(r"(?P<word>[A-Za-z0-9][A-Za-z0-9._-]{0,79})(?::[A-Za-z0-9._-]{1,80})?\Z")
_T = TypeVar("_T")


class HubService:
    """`judge` tells what fits; `access` is looked up when the hub is first wanted, and may raise HearthError.

    Its token is looked up each time: who is told to log in does so while Hearth runs.

    In the file `memory` pulls are remembered that are not done.
    """

    def __init__(
        self,
        access: Callable[[], Access],
        *,
        connections: int = 8,
        judge: Judge | None = None,
        pace: Pace | None = None,
        memory: Path | None = None,
    ) -> None:
        self._memory = memory
        self._access, self._connections, self._judge, self._pace = access, connections, judge, pace
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Client | None = None
        self._pulls: Pulls | None = None
        self._refusals: set[asyncio.Task[None]] = set()
        self._closed = False

    async def search(self, query: HubQuery) -> list[HubModel]:
        """Raises HearthError."""

        async def there() -> list[HubModel]:
            from engine.hub import listing

            return await listing.search(self._ready(), query)

        return await self._there(there())

    async def card(self, model: str) -> HubCard:
        """Raises HearthError."""
        reference = parse(model)

        async def there() -> HubCard:
            from engine.hub import listing

            return await listing.card(self._ready(), reference)

        return await self._there(there())

    async def offer(self, model: str) -> HubFiles:
        """Raises HearthError."""
        reference = parse(model)

        async def there() -> HubFiles:
            from engine.hub import plan

            return await plan.offer(self._ready(), reference, self._judge)

        return await self._there(there())

    async def plan(self, request: PullRequest) -> PullPlan:
        """Raises HearthError; for a bare name that nobody knows with the best hits of a search."""

        async def there() -> PullPlan:
            from engine.hub import plan

            try:
                reference = parse(request.model, choice=request.quantisation, revision=request.revision)
            except InvalidRequest as error:
                raise await self._with_hits(request.model, error) from None
            return await plan.told(self._ready(), reference, self._judge)

        return await self._there(there())

    async def newest(self, repository: str, ref: str) -> str:
        """The commit that `ref` stands for at the hub. Raises HearthError."""

        async def there() -> str:
            from engine.hub import listing

            about, _ = await listing.model(self._ready(), parse(repository, revision=ref))
            return about.commit

        return await self._there(there())

    def pull(self, request: PullRequest) -> PullStream:
        """Queue a pull and return at once. One that cannot even be understood ends in a failed state."""

        def cancel() -> None:
            # After the end there is nothing to give up.
            with contextlib.suppress(HearthError):
                self._call(self._cancel, stream)

        stream = PullStream(uuid.uuid4().hex[:12], cancel)
        try:
            self._call(self._add, request, stream)
        except HearthError as error:
            stream.push(_failed(request, stream.id, error))
        return stream

    def pulls(self) -> list[PullState]:
        """What runs, what waits, then what has ended."""
        return self._pulls.states() if self._pulls is not None else []

    async def interrupted(self) -> list[PullState]:
        """Pulls of earlier processes, and given up ones of this, of which a part is here. Raises HearthError."""

        def look() -> list[PullState]:
            from engine.hub.unfinished import Unfinished

            return Unfinished(self._memory).states(self._access().cache) if self._memory is not None else []

        going = {state.model for state in self.pulls() if not state.ended}
        return [state for state in await asyncio.to_thread(look) if state.model not in going]

    async def cancel(self, id: str) -> bool:
        """Give a pull up; False if there is none of that id that has not ended."""
        if self._pulls is None:
            return False
        pulls = self._pulls

        async def there() -> bool:
            return pulls.cancel(id)

        return await self._there(there())

    async def close(self) -> None:
        """End all pulls and the thread; a second call does nothing."""
        with self._starting:
            already, self._closed = self._closed, True
            loop, thread = self._loop, self._thread
        if already or loop is None or thread is None:
            return

        async def shut() -> None:
            await ended(list(self._refusals))
            if self._pulls is not None:
                await self._pulls.close()
            if self._client is not None:
                await self._client.close()

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(shut(), loop))
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)

    # --- on the hub's loop

    def _ready(self) -> Client:
        if self._client is None:
            from engine.hub.client import Client

            self._client = Client(self._access(), self._pace)
        else:
            self._client.access = replace(self._client.access, token=self._access().token)
        return self._client

    def _add(self, request: PullRequest, stream: PullStream) -> None:
        from engine.checking import check

        try:
            check(request)
            reference = parse(request.model, choice=request.quantisation, revision=request.revision)
            client = self._ready()
            if self._pulls is None:
                from engine.hub.pulls import Pulls
                from engine.hub.unfinished import Unfinished

                self._pulls = Pulls(
                    client,
                    connections=self._connections,
                    judge=self._judge,
                    unfinished=Unfinished(self._memory) if self._memory is not None else None,
                )
            self._pulls.add(reference, stream)
        except InvalidRequest as error:
            task = asyncio.get_running_loop().create_task(self._refuse(request, stream, error))
            self._refusals.add(task)
            task.add_done_callback(self._refusals.discard)
        except HearthError as error:
            stream.push(_failed(request, stream.id, error))
        except Exception as error:
            defect = InternalError("The pull met a defect of Hearth's.", f"{type(error).__name__}: {error}")
            stream.push(_failed(request, stream.id, defect))

    async def _refuse(self, request: PullRequest, stream: PullStream, error: HearthError) -> None:
        try:
            error = await self._with_hits(request.model, error)
        finally:
            stream.push(_failed(request, stream.id, error))

    async def _with_hits(self, name: str, error: HearthError) -> HearthError:
        """`error`, with the best hits of a search where `name` is a bare word that may be part of a model's name."""
        from engine.hub import listing

        word = _WORD.match(name)
        if word is None:
            return error
        try:
            found = await listing.search(
                self._ready(), HubQuery(text=word["word"], library="gguf", limit=SUGGESTED)
            )
        except HearthError:
            return error
        if not found:
            return error
        names = [each.id for each in found]
        return InvalidRequest(
            error.what,
            f"{error.why} It is no well-known name either.",
            f"The best that a search finds: {', '.join(names)}. Pull one with: hearth pull {names[0]}",
            param="model",
        )

    def _cancel(self, stream: PullStream) -> None:
        if self._pulls is not None:
            self._pulls.cancel(stream.id)

    # --- threads

    async def _there(self, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            # A thread that starts is waited for: not on the caller's loop, which may be a screen's.
            started = self._started
            loop = started() if self._loop is not None else await asyncio.to_thread(started)
        except HearthError:
            work.close()
            raise
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        self._started().call_soon_threadsafe(function, *arguments)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._closed:
                raise ModelUnavailable("Hearth is closing.", fix="Start it again.")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="hub", daemon=True)
                self._thread.start()
            return self._loop


def _failed(request: PullRequest, id: str, error: HearthError) -> PullState:
    return PullState(id=id, model=plain(str(request.model), 120), stage="failed", error=error.info)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
