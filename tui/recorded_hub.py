"""The recorded engine's hub: the same repositories, files and pulls every time, no network and no disk.

A pull moves only when a test says so, by `move_pull`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec.structs import replace

from engine.errors import HearthError, InvalidRequest, ModelNotFound, ModelUnavailable
from engine.types import (
    CacheScan,
    Freed,
    HubCard,
    HubFiles,
    HubModel,
    HubPage,
    HubQuery,
    LoadedModel,
    ModelEntry,
    NewRevision,
    PullPlan,
    PullRequest,
    PullState,
    Verified,
)


class RecordedPulling:
    """See `engine.face.Pulling`; follows what its engine says of the pull."""

    def __init__(self, engine: RecordedHub, id: str) -> None:
        self.id = id
        self._engine = engine
        self._seen: PullState | None = None

    def drain(self) -> PullState | None:
        """The newest state, once."""
        state = next(state for state in self._engine.pull_states if state.id == self.id)
        if state is self._seen:
            return None
        self._seen = state
        return state

    async def __aiter__(self) -> AsyncIterator[PullState]:
        while self._seen is None or not self._seen.ended:
            if (state := self.drain()) is not None:
                yield state
            await asyncio.sleep(0)

    def cancel(self) -> None:
        """Give it up."""
        self._engine.move_pull(self.id, stage="cancelled")

    async def wait(self) -> PullState:
        """The state that has ended."""
        async for _ in self:
            pass
        assert self._seen is not None
        return self._seen


class RecordedHub:
    """See `engine.face.Hub`. Everything it tells is a public attribute that a test may set."""

    entries: list[ModelEntry]
    resident: dict[str, LoadedModel]

    def __init__(
        self,
        hub: Sequence[HubModel] = (),
        files: Sequence[HubFiles] = (),
        cards: Sequence[HubCard] = (),
        pulls: Sequence[PullState] = (),
        interrupted: Sequence[PullState] = (),
    ) -> None:
        self.hub = list(hub)
        self.files = {each.id: each for each in files}
        self.cards = {each.model.id: each for each in cards}
        self.pull_states = list(pulls)
        self.interrupted = list(interrupted)
        self.offline: HearthError | None = None
        """Why the hub cannot be reached, if it cannot."""
        self.silent = False
        """Whether the hub keeps everyone waiting."""
        self.newer: dict[str, str] = {}
        """The newest commit of repositories that have something newer."""
        self.queries: list[HubQuery] = []
        self.asked_for: list[str] = []
        """Repositories whose files were asked for."""
        self.pulled: list[PullRequest] = []
        self.deleted: list[str] = []

    async def search_hub(self, query: HubQuery) -> HubPage:
        """What of the recorded repositories matches."""
        self.queries.append(query)
        words = query.text.lower().split()
        local = tuple(entry for entry in self.entries if all(word in entry.id.lower() for word in words))
        if self.offline is not None:
            return HubPage(local=local, problem=self.offline.info)
        await self._answers()
        orders = {"likes": lambda each: -each.likes, "downloads": lambda each: -each.downloads}
        found = sorted(self.hub, key=orders.get(query.order, lambda each: each.id))
        if query.order == "date":
            found.sort(key=lambda each: each.modified, reverse=True)
        most = query.most_parameters
        return HubPage(
            models=tuple(
                each
                for each in found
                if all(word in each.id.lower() for word in words)
                and (query.library is None or query.library in each.libraries)
                and query.task in ("", each.task)
                and (most is None or each.parameters <= most)
                and (not query.fits or each.parameters < 14e9)
            )[: query.limit],
            local=local,
        )

    async def hub_card(self, model: str) -> HubCard:
        """The recorded card."""
        await self._answers()
        if model not in self.cards:
            raise ModelNotFound(f"The hub has no card of {model}.")
        return self.cards[model]

    async def hub_files(self, model: str) -> HubFiles:
        """The recorded files."""
        self.asked_for.append(model)
        await self._answers()
        if model not in self.files:
            raise ModelNotFound(
                f"The hub has no files of {model}.", "It may be private.", "Look at its page."
            )
        return self.files[model]

    async def plan_pull(self, request: PullRequest) -> PullPlan:
        """What the recorded files say."""
        found = await self.hub_files(request.model.partition(":")[0])
        chosen = next(
            each for each in found.quantisations if each.name in (request.quantisation, request.model)
        )
        return PullPlan(model=request.model, commit=found.commit, chosen=chosen, offered=found.quantisations)

    def pull(self, request: PullRequest) -> RecordedPulling:
        """Put it into the queue."""
        self.pulled.append(request)
        id = f"pull-{len(self.pulled)}"
        name = request.model + (f":{request.quantisation}" if request.quantisation else "")
        before = sum(not state.ended for state in self.pull_states)
        stage = "queued" if before else "asking"
        self.pull_states.insert(before, PullState(id=id, model=name, stage=stage, position=before))
        self.interrupted = [state for state in self.interrupted if state.model != name]
        return RecordedPulling(self, id)

    def move_pull(self, id: str, **changes: Any) -> None:
        """Let a pull go on: `changes` are fields of its state. What has ended stands behind what has not."""
        states = [replace(state, **changes) if state.id == id else state for state in self.pull_states]
        self.pull_states = sorted(states, key=lambda state: state.ended)

    def pulls(self) -> list[PullState]:
        """The states as they are."""
        return list(self.pull_states)

    async def interrupted_pulls(self) -> list[PullState]:
        """Those recorded, and given up ones."""
        given_up = [state for state in self.pull_states if state.stage == "cancelled"]
        return [*self.interrupted, *(replace(state, id="", stage="interrupted") for state in given_up)]

    async def cancel_pull(self, pull_id: str) -> bool:
        """Give it up."""
        if not any(state.id == pull_id and not state.ended for state in self.pull_states):
            return False
        self.move_pull(pull_id, stage="cancelled")
        return True

    async def newer_revisions(self, model: str | None = None) -> list[NewRevision]:
        """What `newer` says of the models of the hub's cache."""
        if self.offline is not None:
            raise self.offline
        known = dict.fromkeys(
            entry.id.partition(":")[0] for entry in self.entries if entry.source == "huggingface"
        )
        return [
            NewRevision(id=name, ref="main", local="a" * 40, remote=self.newer.get(name, "a" * 40))
            for name in known
            if model is None or name == model
        ]

    async def cache_scan(self) -> CacheScan:
        """An empty cache."""
        return CacheScan(path="/home/ada/.cache/huggingface/hub")

    async def cache_prune(self, *, dry_run: bool = False) -> Freed:
        """Nothing."""
        return Freed()

    async def verify_weights(self, model: str) -> Verified:
        """All sound."""
        return Verified(id=model)

    async def delete_weights(self, model: str, *, dry_run: bool = False) -> Freed:
        """Take the entry out; refuses what the engine refuses."""
        found = [entry for entry in self.entries if model in (entry.id, entry.id.partition(":")[0])]
        if not found:
            raise ModelNotFound(f"No model is called {model}.")
        if found[0].source != "huggingface":
            raise InvalidRequest(
                f"{model} is not deleted.",
                f"It does not lie in the model cache but at {found[0].path}.",
                "Delete it there yourself.",
            )
        if any(entry.id in self.resident for entry in found):
            raise ModelUnavailable(f"{model} is in memory and is not deleted.", fix="Unload it first.")
        if not dry_run:
            self.deleted.append(model)
            self.entries = [entry for entry in self.entries if entry not in found]
        what = tuple(f"{entry.id.rpartition('/')[2]}.gguf" for entry in found)
        return Freed(size=sum(entry.size for entry in found), files=len(found), what=what)

    async def _answers(self) -> None:
        if self.offline is not None:
            raise self.offline
        if self.silent:
            await asyncio.Event().wait()
