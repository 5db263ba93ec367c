"""The job queue of the other side, which runs it: see `engine.jobs.face.Jobs`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.errors import ErrorInfo, HearthError
from engine.remote.refusals import foreign
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
    from engine.remote.asking import Asking

_T = TypeVar("_T")


class RemoteJobs:
    """Every call is one request; `watch` is a stream of them."""

    def __init__(self, engine: Asking) -> None:
        self._engine = engine

    async def submit(self, request: JobRequest) -> Job:
        return await self._ask("submit", Job, request)

    async def submit_batch(self, batch: BatchRequest, requests: Sequence[JobRequest]) -> Batch:
        return await self._ask("submit_batch", Batch, {"batch": batch, "requests": tuple(requests)})

    async def get(self, job: int | str, owner: str | None = None) -> Job:
        return await self._ask("get", Job, {"job": job, "owner": owner})

    async def find(self, query: JobQuery) -> JobPage:
        return await self._ask("find", JobPage, query)

    async def outcome(self, job: int | str, owner: str | None = None) -> JobOutcome:
        return await self._ask("outcome", JobOutcome, {"job": job, "owner": owner})

    async def outcomes(self, batch: str, after: int = 0, limit: int = 100) -> list[JobOutcome]:
        return await self._ask("outcomes", list[JobOutcome], {"batch": batch, "after": after, "limit": limit})

    async def cancel(self, job: int | str, owner: str | None = None) -> Job:
        return await self._ask("cancel", Job, {"job": job, "owner": owner})

    async def retry(self, job: int | str, owner: str | None = None) -> Job:
        return await self._ask("retry", Job, {"job": job, "owner": owner})

    async def drop(self, job: int | str, owner: str | None = None) -> None:
        await self._do("drop", {"job": job, "owner": owner})

    async def batch(self, batch: str, owner: str | None = None) -> Batch:
        return await self._ask("batch", Batch, {"batch": batch, "owner": owner})

    async def batches(
        self, kind: str, owner: str | None = None, *, before: str | None = None, limit: int = 20
    ) -> list[Batch]:
        asked = {"kind": kind, "owner": owner, "before": before, "limit": limit}
        return await self._ask("batches", list[Batch], asked)

    async def cancel_batch(self, batch: str, owner: str | None = None) -> Batch:
        return await self._ask("cancel_batch", Batch, {"batch": batch, "owner": owner})

    async def drop_batch(self, batch: str, owner: str | None = None) -> None:
        await self._do("drop_batch", {"batch": batch, "owner": owner})

    async def keep_file(self, file: KeptFile, data: bytes) -> KeptFile:
        return await self._ask("keep_file", KeptFile, {"file": file, "data": data})

    async def file(self, file: str, owner: str | None = None) -> KeptFile:
        return await self._ask("file", KeptFile, {"file": file, "owner": owner})

    async def read_file(self, file: str, owner: str | None = None) -> bytes:
        async def there() -> bytes:
            return await self._engine._link.fetch("jobs/read_file", {"file": file, "owner": owner})

        return await self._engine._on_loop(there())

    async def files(
        self,
        owner: str | None = None,
        *,
        purpose: str | None = None,
        before: str | None = None,
        limit: int = 10_000,
    ) -> list[KeptFile]:
        asked = {"owner": owner, "purpose": purpose, "before": before, "limit": limit}
        return await self._ask("files", list[KeptFile], asked)

    async def drop_file(self, file: str, owner: str | None = None) -> None:
        await self._do("drop_file", {"file": file, "owner": owner})

    async def watch(self, job: int | str, owner: str | None = None) -> AsyncIterator[JobUpdate]:
        """Raises what ends the stream before the job is over."""
        loop, came = asyncio.get_running_loop(), asyncio.Queue[JobUpdate | HearthError | None]()

        def tell(update: JobUpdate | HearthError | None) -> None:
            loop.call_soon_threadsafe(came.put_nowait, update)

        async def follow() -> None:
            try:
                async for data in self._engine._link.events("jobs/watch", {"job": job, "owner": owner}):
                    tell(self._update(data))
            except HearthError as error:
                tell(error)
            tell(None)

        following = asyncio.ensure_future(self._engine._on_loop(follow()))
        try:
            while (update := await came.get()) is not None:
                if isinstance(update, HearthError):
                    raise update
                yield update
        finally:
            following.cancel()

    async def work(self) -> None:
        """The other side runs them."""

    def _update(self, data: bytes) -> JobUpdate:
        try:
            return msgspec.json.decode(data, type=JobUpdate)
        except msgspec.MsgspecError as error:
            try:
                info = msgspec.json.decode(data, type=ErrorInfo)
            except msgspec.MsgspecError:
                raise foreign(self._engine.address, f"{error}.") from None
            raise HearthError.from_info(info) from None

    async def _ask(self, path: str, kind: type[_T], body: object) -> _T:
        found: _T = await self._engine._post(f"jobs/{path}", kind, body, patient=True)
        return found

    async def _do(self, path: str, body: object) -> None:
        await self._engine._post(f"jobs/{path}", dict, body, patient=True)
