"""The part of `LocalEngine` that is about the hub and the cache: see `engine.face.Hub`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from engine.checking import check
from engine.errors import HearthError, InvalidRequest, ModelUnavailable
from engine.hub.access import access_of
from engine.hub.reference import MAIN, Reference, parse
from engine.hub.service import HubService
from engine.hub.stream import PullStream
from engine.local_parts import LocalParts
from engine.runtime.load_defaults import EVERY, completed
from engine.types import (
    CacheScan,
    Device,
    Freed,
    HubCard,
    HubFiles,
    HubModel,
    HubPage,
    HubQuery,
    LoadOptions,
    ModelEntry,
    NewRevision,
    PullPlan,
    PullRequest,
    PullState,
    Quantisation,
    Verified,
)

if TYPE_CHECKING:
    from engine.hub.cache import Loaded
    from engine.hub.client import Client
    from engine.hub.judge import Judge


class LocalHub(LocalParts):
    """What `LocalEngine` inherits."""

    def _open_hub(self) -> None:
        """Get ready; nothing is started."""
        self._judge: Judge | None = None
        self._hub = HubService(
            lambda: access_of(self._settings),
            connections=self._settings.hub.connections,
            judge=self._judged,
            memory=self._paths.pulls_file,
        )

    # --- the hub

    async def search_hub(self, query: HubQuery) -> HubPage:
        check(query)
        entries = await self.models()
        words = query.text.lower().split()
        local = tuple(entry for entry in entries if all(word in entry.id.lower() for word in words))
        try:
            found = await self._hub.search(query)
        except HearthError as error:
            return HubPage(local=local, problem=error.info)
        free = await self._free() if found else 0
        here = {entry.id.partition(":")[0].partition("@")[0].lower() for entry in entries}
        # Off the caller's loop, which may be a screen's: this imports.
        marked = await asyncio.to_thread(lambda: [_marked(each, here, free) for each in found])
        if query.fits:
            marked = [each for each in marked if each.verdict != "too big"]
        marked = marked[: query.limit]
        return HubPage(models=tuple(marked), local=local)

    async def hub_card(self, model: str) -> HubCard:
        return await self._hub.card(model)

    async def hub_files(self, model: str) -> HubFiles:
        # The engine's loop is that of its first caller, and not the hub's, from which memory is asked for.
        self._running_loop()
        return await self._hub.offer(model)

    async def plan_pull(self, request: PullRequest) -> PullPlan:
        check(request)
        self._running_loop()
        return await self._hub.plan(request)

    def pull(self, request: PullRequest) -> PullStream:
        with contextlib.suppress(HearthError):
            self._running_loop()
        return self._hub.pull(request)

    def pulls(self) -> list[PullState]:
        return self._hub.pulls()

    async def interrupted_pulls(self) -> list[PullState]:
        return await self._hub.interrupted()

    async def cancel_pull(self, pull_id: str) -> bool:
        return await self._hub.cancel(pull_id)

    async def newer_revisions(self, model: str | None = None) -> list[NewRevision]:
        wanted = parse(model).repository.lower() if model is not None else None
        scan = await self.cache_scan()
        asked = [
            (repo.id, ref, revision.commit)
            for repo in scan.repositories
            if repo.kind == "model" and wanted in (None, repo.id.lower())
            for revision in repo.revisions
            for ref in revision.refs
        ]
        return list(await asyncio.gather(*(self._newer(*each) for each in asked)))

    async def _newer(self, repository: str, ref: str, commit: str) -> NewRevision:
        try:
            remote = await self._hub.newest(repository, ref)
        except HearthError as error:
            return NewRevision(id=repository, ref=ref, local=commit, remote="", problem=error.info)
        return NewRevision(id=repository, ref=ref, local=commit, remote=remote)

    # --- the cache

    async def cache_scan(self) -> CacheScan:
        def work() -> CacheScan:
            from engine.hub import cache

            return cache.scan(access_of(self._settings).cache, self._loaded())

        return await asyncio.to_thread(work)

    async def cache_prune(self, *, dry_run: bool = False) -> Freed:
        def work() -> Freed:
            from engine.hub import cache

            return cache.prune(access_of(self._settings).cache, dry_run=dry_run)

        return await asyncio.to_thread(work)

    async def verify_weights(self, model: str) -> Verified:
        reference = await self._cached(model)
        over = threading.Event()

        def work() -> Verified:
            from engine.hub.verify import verify

            return verify(access_of(self._settings).cache, reference, lambda: not over.is_set())

        try:
            return await asyncio.to_thread(work)
        finally:
            # A cancel leaves the thread behind, which is to end.
            over.set()

    async def delete_weights(self, model: str, *, dry_run: bool = False) -> Freed:
        reference = await self._cached(model)
        going = [state.model for state in self.pulls() if not state.ended and state.stage != "queued"]
        if any(parse(name).repository.lower() == reference.repository.lower() for name in going):
            raise ModelUnavailable(
                f"{reference} is being pulled and is not deleted.",
                fix="Cancel the pull first.",
                param="model",
            )

        def work() -> Freed:
            from engine.hub import cache

            return cache.delete(access_of(self._settings).cache, reference, self._loaded(), dry_run=dry_run)

        return await asyncio.to_thread(work)

    async def _cached(self, model: str) -> Reference:
        """The reference that `model` means: one of the hub's, or a name that is listed here."""
        entry = await self._entry_of(model)
        if entry is not None and entry.removal:
            raise InvalidRequest(
                f"{entry.id} belongs to {_OWNERS.get(entry.source, entry.source)} and is not deleted.",
                f"It lies at {entry.path}.",
                f"Delete it there: {entry.removal}",
                param="model",
            )
        if entry is not None and entry.source != "huggingface":
            raise InvalidRequest(
                f"{entry.id} is not deleted.",
                f"It does not lie in the model cache but at {entry.path}.",
                "Delete it there yourself.",
                param="model",
            )
        # As a listed name a short commit stands behind its repository, which is no revision of the hub's.
        return parse(model) if entry is None else _reference_of(entry)

    async def _entry_of(self, model: str) -> ModelEntry | None:
        """The model that is listed as `model`, or that it means as the name of a store's."""
        name = model.lower()
        listed = await self.models()
        exact = next(
            (entry for entry in listed if name in (entry.id.lower(), *map(str.lower, entry.also))), None
        )
        if exact is not None or not name.startswith(("ollama:", "lmstudio:")):
            return exact
        return await asyncio.to_thread(self._targets.catalog.entry, model)

    def _loaded(self) -> Loaded:
        from engine.hub.cache import Loaded

        return Loaded(self._supervisor.files())

    # --- what fits

    async def _judged(
        self, client: Client, reference: Reference, commit: str, offered: Sequence[Quantisation]
    ) -> tuple[Sequence[Quantisation], int]:
        from engine.hub.judge import Judge

        if self._judge is None:
            self._judge = Judge(self._memory, lambda: completed(LoadOptions(), self._settings.runtime, EVERY))
        return await self._judge(client, reference, commit, offered)

    async def _memory(self) -> tuple[Sequence[Device], Mapping[str, int]]:
        return await self._on_loop(self._supervisor.memory())

    async def _free(self) -> int:
        _, free = await self._memory()
        return max(free.values(), default=0)


_SNAPSHOT: Final = re.compile(r"/models--[^/]+/snapshots/([0-9a-f]{40})(?:/|$)")
"""The folder of a revision in the cache: see `hub_cache`."""
_OWNERS: Final = {"ollama": "Ollama", "lmstudio": "LM Studio"}


def _marked(each: HubModel, here: set[str], free: int) -> HubModel:
    from msgspec.structs import replace

    from engine.library.fit import PROCESS
    from engine.library.pools import MAIN
    from engine.library.verdicts import verdict

    said = verdict({MAIN: each.size + PROCESS}, {MAIN: free}) if each.size else "unknown"
    return replace(each, local=each.id.lower() in here, verdict=said)


def _reference_of(entry: ModelEntry) -> Reference:
    name, _, choice = entry.id.partition(":")
    repository, _, _ = name.partition("@")
    commit = _SNAPSHOT.search(entry.path)
    return Reference(repository, choice, commit[1] if commit is not None else MAIN)
