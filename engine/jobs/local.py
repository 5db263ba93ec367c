"""`LocalJobs`: the queue of this machine, on the thread of the conversations, whose database it shares.

Without an engine it submits and looks up: whoever runs the jobs sees them within a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec.structs import replace

from engine.checking import check
from engine.conversations.local import LocalConversations
from engine.paths import Paths
from engine.settings import Settings
from engine.types import (
    Batch,
    BatchRequest,
    Job,
    JobOutcome,
    JobPage,
    JobQuery,
    JobRequest,
    JobUpdate,
    KeptFile,
)

if TYPE_CHECKING:
    from engine.conversations.store import ConversationStore
    from engine.face import Engine
    from engine.jobs.runner import Runner
    from engine.jobs.store import JobStore
    from engine.jobs.turns import Turns

_T = TypeVar("_T")
WATCH_S: Final = 0.05
"""Between two looks at a job that runs here."""
FAR_S: Final = 0.25
"""Between two looks at one that waits, or that another process runs."""


class LocalJobs:
    """See `engine.jobs.face.Jobs`. `settings` gives those that hold now; `start` has an engine begin to run jobs."""

    def __init__(
        self,
        conversations: LocalConversations,
        settings: Callable[[], Settings],
        paths: Paths | None,
        *,
        start: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._conversations, self._settings, self._paths = conversations, settings, paths
        self._start = start
        self._kept: JobStore | None = None
        self._turns: Turns | None = None
        self._runner: Runner | None = None

    # --- the face

    async def submit(self, request: JobRequest) -> Job:
        self._check(request)
        job = await self._do(lambda store: store.submit(request, self._settings().jobs))
        self._wake()
        return job

    async def submit_batch(self, batch: BatchRequest, requests: Sequence[JobRequest]) -> Batch:
        for request in requests:
            self._check(request)
        found = await self._do(lambda store: store.submit_batch(batch, requests, self._settings().jobs))
        self._wake()
        return found

    async def get(self, job: int | str, owner: str | None = None) -> Job:
        return await self._do(lambda store: store.get(job, owner))

    async def find(self, query: JobQuery) -> JobPage:
        check(query)
        return await self._do(lambda store: store.find(query))

    async def outcome(self, job: int | str, owner: str | None = None) -> JobOutcome:
        return await self._do(lambda store: store.outcome(job, owner))

    async def outcomes(self, batch: str, after: int = 0, limit: int = 100) -> list[JobOutcome]:
        return await self._do(lambda store: store.outcomes(batch, after, limit))

    async def cancel(self, job: int | str, owner: str | None = None) -> Job:
        found = await self._do(lambda store: store.cancel(job, owner))
        self._wake()
        return found

    async def retry(self, job: int | str, owner: str | None = None) -> Job:
        found = await self._do(lambda store: store.retry(job, owner))
        self._wake()
        return found

    async def watch(self, job: int | str, owner: str | None = None) -> AsyncIterator[JobUpdate]:
        known = await self.get(job, owner)
        if not known.over:
            yield JobUpdate(job=known)
        attempt, place = -1, 0
        while not known.over:
            running = self._runner.running.get(known.id) if self._runner is not None else None
            if running is not None:
                if running.job.attempt != attempt:
                    attempt, place = running.job.attempt, 0
                    if (known.state, known.attempt) != ("processing", attempt):
                        known = running.job
                        yield JobUpdate(job=known)
                # Events only come: what is read here without a lock is there.
                for event in running.events[place:]:
                    yield JobUpdate(job=known, event=event, place=place)
                    place += 1
            await asyncio.sleep(FAR_S if self._runner is None else WATCH_S)
            if running is not None:
                if self._runner is not None and self._runner.running.get(known.id) is running:
                    continue
                for event in running.events[place:]:
                    yield JobUpdate(job=known, event=event, place=place)
                    place += 1
            now = await self.get(known.id, None)
            if not now.over and (now.state, now.attempt) != (known.state, known.attempt):
                yield JobUpdate(job=now)
            known = now
        if known.state == "done" and attempt != known.attempt:
            # It ran out of sight: what came of it is here all the same.
            for at, event in enumerate((await self.outcome(known.id)).events):
                yield JobUpdate(job=known, event=event, place=at)
        yield JobUpdate(job=known)

    async def drop(self, job: int | str, owner: str | None = None) -> None:
        await self._do(lambda store: store.drop(job, owner))
        self._wake()

    async def batch(self, batch: str, owner: str | None = None) -> Batch:
        return await self._do(lambda store: store.batch(batch, owner))

    async def batches(
        self, kind: str, owner: str | None = None, *, before: str | None = None, limit: int = 20
    ) -> list[Batch]:
        return await self._do(lambda store: store.batches(kind, owner, before, limit))

    async def cancel_batch(self, batch: str, owner: str | None = None) -> Batch:
        found = await self._do(lambda store: store.cancel_batch(batch, owner))
        self._wake()
        return found

    async def drop_batch(self, batch: str, owner: str | None = None) -> None:
        await self._do(lambda store: store.drop_batch(batch, owner))

    async def keep_file(self, file: KeptFile, data: bytes) -> KeptFile:
        from engine.jobs import files

        return await self._do(lambda store: files.keep(store, file, data))

    async def file(self, file: str, owner: str | None = None) -> KeptFile:
        from engine.jobs import files

        return await self._do(lambda store: files.get(store, file, owner))

    async def read_file(self, file: str, owner: str | None = None) -> bytes:
        from engine.jobs import files

        return await self._do(lambda store: files.read(store, file, owner))

    async def files(
        self,
        owner: str | None = None,
        *,
        purpose: str | None = None,
        before: str | None = None,
        limit: int = 10_000,
    ) -> list[KeptFile]:
        from engine.jobs import files

        return await self._do(lambda store: files.find(store, owner, purpose, before, limit))

    async def drop_file(self, file: str, owner: str | None = None) -> None:
        from engine.jobs import files

        await self._do(lambda store: files.drop(store, file, owner))

    async def work(self) -> None:
        if self._start is not None:
            await self._start()

    # --- for the engine

    def start(self, engine: Engine) -> None:
        """Run jobs with `engine` from now on; on the engine's loop. A second call does nothing."""
        from engine.jobs.runner import Runner

        if self._runner is None:
            self._runner = Runner(
                engine,
                self._do_turns,
                lambda: self._settings().jobs,
                self._paths,
            )

    async def stop(self) -> None:
        """Run no more; on the engine's loop."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.close()

    def attended(self) -> bool:
        """Whether some process of this user runs jobs now."""
        if self._runner is not None or self._paths is None:
            return self._runner is not None
        from engine.jobs.turns import attended

        return attended(self._paths)

    def _wake(self) -> None:
        if self._runner is not None:
            self._runner.wake()

    def _check(self, request: JobRequest) -> None:
        from engine.jobs.store import check_request
        from engine.jobs.webhook import check as check_webhook

        check_request(request)
        check(replace(request, request=None, embed=None))
        for asked in (request.request, request.embed):
            if asked is not None:
                check(asked)
        if request.webhook is not None:
            check_webhook(request.webhook, self._settings().jobs.webhook_allow)

    def _do(self, work: Callable[[JobStore], _T]) -> asyncio.Future[_T]:
        return self._conversations.do(lambda store: work(self._store(store)))

    def _do_turns(self, work: Callable[[Turns], _T]) -> asyncio.Future[_T]:
        return self._conversations.do(lambda store: work(self._turns_of(store)))

    # --- on the thread

    def _store(self, conversations: ConversationStore) -> JobStore:
        if self._kept is None or self._kept.conversations is not conversations:
            from engine.jobs.store import JobStore

            self._kept = JobStore(conversations)
        return self._kept

    def _turns_of(self, conversations: ConversationStore) -> Turns:
        if self._turns is None:
            from engine.jobs.turns import Turns

            self._turns = Turns(self._store(conversations), self._paths)
        return self._turns
