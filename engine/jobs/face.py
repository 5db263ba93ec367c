"""The face of the job queue, as `engine.jobs` gives it; a part of `engine.face`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

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


class Jobs(Protocol):
    """May be called from any loop. What is submitted is on disk when the call returns, and survives whatever comes.

    `owner` None sees everything; else what belongs to others is not found. Calls raise
    `engine.errors.StorageFailed`, and those that name a job, batch or file JobNotFound.
    """

    async def submit(self, request: JobRequest) -> Job:
        """Queue a job; the one that there is already, where its idempotency key was used before.

        Raises InvalidRequest (a webhook that is not allowed too), QueueFull, ConversationNotFound for a number of a
        conversation that is not there, Conflict for a key that was used for something else.
        """
        ...

    async def submit_batch(self, batch: BatchRequest, requests: Sequence[JobRequest]) -> Batch:
        """Queue jobs together: all of them or none. Raises as `submit`."""
        ...

    async def get(self, job: int | str, owner: str | None = None) -> Job:
        """A job by its id or name."""
        ...

    async def find(self, query: JobQuery) -> JobPage:
        """Jobs, the newest first."""
        ...

    async def outcome(self, job: int | str, owner: str | None = None) -> JobOutcome:
        """What was asked and what came of it, in full."""
        ...

    async def outcomes(self, batch: str, after: int = 0, limit: int = 100) -> list[JobOutcome]:
        """Those of a batch whose ids are larger than `after`, in their order."""
        ...

    async def cancel(self, job: int | str, owner: str | None = None) -> Job:
        """End a job; one that is over stays as it is. What a model was writing for it is thrown away."""
        ...

    async def retry(self, job: int | str, owner: str | None = None) -> Job:
        """Queue a job that failed or was cancelled once more. Raises Conflict for others."""
        ...

    def watch(self, job: int | str, owner: str | None = None) -> AsyncIterator[JobUpdate]:
        """The job as it is now, then all that becomes of it: its states, the events of its answer from the first one
        on (as they come if it runs in this process, else when it is done), and at last the state that is over.
        With another attempt the events begin anew."""
        ...

    async def drop(self, job: int | str, owner: str | None = None) -> None:
        """Forget a job; one that runs is cancelled."""
        ...

    async def batch(self, batch: str, owner: str | None = None) -> Batch: ...

    async def batches(
        self, kind: str, owner: str | None = None, *, before: str | None = None, limit: int = 20
    ) -> list[Batch]:
        """Batches of a kind, the newest first, those that are older than `before`."""
        ...

    async def cancel_batch(self, batch: str, owner: str | None = None) -> Batch:
        """End all jobs of a batch that are not over."""
        ...

    async def drop_batch(self, batch: str, owner: str | None = None) -> None:
        """Forget a batch and its jobs. Raises Conflict while one of them is not over."""
        ...

    async def keep_file(self, file: KeptFile, data: bytes) -> KeptFile:
        """Keep a file; one of that id that is there already stays as it is."""
        ...

    async def file(self, file: str, owner: str | None = None) -> KeptFile: ...

    async def read_file(self, file: str, owner: str | None = None) -> bytes: ...

    async def files(
        self,
        owner: str | None = None,
        *,
        purpose: str | None = None,
        before: str | None = None,
        limit: int = 10_000,
    ) -> list[KeptFile]:
        """Files, the newest first."""
        ...

    async def drop_file(self, file: str, owner: str | None = None) -> None: ...

    async def work(self) -> None:
        """Run jobs in this process from now on, unless another one does already; then as soon as that has ended."""
        ...
