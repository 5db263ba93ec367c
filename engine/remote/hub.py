"""The part of `RemoteEngine` that is about the hub and the cache of the other machine: see `engine.face.Hub`."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from abc import abstractmethod

from engine.checking import check
from engine.errors import HearthError
from engine.hub.stream import PullStream
from engine.remote.asking import Asking
from engine.remote.streams import Pull
from engine.types import (
    CacheScan,
    Freed,
    HubCard,
    HubFiles,
    HubPage,
    HubQuery,
    NewRevision,
    PullPlan,
    PullRequest,
    PullState,
    Verified,
)


class RemoteHub(Asking):
    """What `RemoteEngine` inherits."""

    async def search_hub(self, query: HubQuery) -> HubPage:
        check(query)
        return await self._post("search_hub", HubPage, query, patient=True)

    async def hub_card(self, model: str) -> HubCard:
        return await self._post("hub_card", HubCard, {"model": model}, patient=True)

    async def hub_files(self, model: str) -> HubFiles:
        return await self._post("hub_files", HubFiles, {"model": model}, patient=True)

    async def plan_pull(self, request: PullRequest) -> PullPlan:
        check(request)
        return await self._post("plan_pull", PullPlan, request, patient=True)

    def pull(self, request: PullRequest) -> PullStream:
        made: list[Pull] = []

        async def cancelled() -> None:
            with contextlib.suppress(HearthError):
                await made[0].cancel()

        def cancel() -> None:
            self._call(lambda: self._kept(cancelled()))

        stream = PullStream(uuid.uuid4().hex, cancel)

        async def follow() -> None:
            made.append(Pull(self._link, request, stream))
            await made[0].follow()

        try:
            check(request)
            self._running_loop().call_soon_threadsafe(lambda: self._kept(follow()))
        except HearthError as error:
            stream.push(PullState(id=stream.id, model=request.model, stage="failed", error=error.info))
        return stream

    async def interrupted_pulls(self) -> list[PullState]:
        return await self._get("interrupted_pulls", list[PullState])

    async def cancel_pull(self, pull_id: str) -> bool:
        async def there() -> bool:
            answer = await self._link.ask("DELETE", f"pulls/{pull_id}", dict[str, bool])
            return bool(answer["cancelled"])

        return await self._on_loop(there())

    async def newer_revisions(self, model: str | None = None) -> list[NewRevision]:
        return await self._post("newer_revisions", list[NewRevision], {"model": model}, patient=True)

    async def cache_scan(self) -> CacheScan:
        return await self._get("cache", CacheScan)

    async def cache_prune(self, *, dry_run: bool = False) -> Freed:
        return await self._post("cache_prune", Freed, {"dry_run": dry_run}, patient=True)

    async def verify_weights(self, model: str) -> Verified:
        return await self._post("verify_weights", Verified, {"model": model}, patient=True)

    async def delete_weights(self, model: str, *, dry_run: bool = False) -> Freed:
        asked = {"model": model, "dry_run": dry_run}
        return await self._post("delete_weights", Freed, asked, patient=True)

    @abstractmethod
    def _kept(self, work: object) -> asyncio.Task[None]:
        """Run `work` on the loop and hold on to it."""
