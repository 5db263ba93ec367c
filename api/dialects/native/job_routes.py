"""One route a method of `engine.jobs.face.Jobs`, under `/hearth/v1/jobs`. `owner` is as that face has it."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, post
from litestar.types import ASGIApp
from msgspec import Struct
from msgspec.structs import replace

from api.answering.reply import Reply, as_json
from api.dialects.jobs.following import Following
from api.dialects.native.files import check_names
from api.dialects.native.reading import read
from engine.errors import ErrorInfo
from engine.types import BatchRequest, JobQuery, JobRequest, JobUpdate, KeptFile

_json = msgspec.json.Encoder()


class JobName(Struct, frozen=True, kw_only=True):
    job: int | str
    owner: str | None = None


class BatchName(Struct, frozen=True, kw_only=True):
    batch: str
    owner: str | None = None


class FileName(Struct, frozen=True, kw_only=True):
    file: str
    owner: str | None = None


class SubmitBatch(Struct, frozen=True, kw_only=True):
    batch: BatchRequest
    requests: tuple[JobRequest, ...]


class Outcomes(Struct, frozen=True, kw_only=True):
    batch: str
    after: int = 0
    limit: int = 100


class Batches(Struct, frozen=True, kw_only=True):
    kind: str
    owner: str | None = None
    before: str | None = None
    limit: int = 20


class KeepFile(Struct, frozen=True, kw_only=True):
    file: KeptFile
    data: bytes


class Files(Struct, frozen=True, kw_only=True):
    owner: str | None = None
    purpose: str | None = None
    before: str | None = None
    limit: int = 10_000


class Updates:
    """Every update as it is; see `Telling`."""

    def update(self, update: JobUpdate) -> bytes:
        return b"event: job\ndata: %s\n\n" % _json.encode(update)

    def fail(self, error: ErrorInfo) -> bytes:
        return b"event: error\ndata: %s\n\n" % _json.encode(error)


@post("/hearth/v1/jobs/submit", status_code=200)
async def submit(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue a job."""
    call, asked = await read(request, JobRequest)
    engine = call.hub.engine
    return as_json(await engine.jobs.submit(_checked(asked, call.hub, call.principal.name)))


@post("/hearth/v1/jobs/submit_batch", status_code=200)
async def submit_batch(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue jobs together: all of them or none."""
    call, asked = await read(request, SubmitBatch)
    requests = [_checked(each, call.hub, call.principal.name) for each in asked.requests]
    return as_json(await call.hub.engine.jobs.submit_batch(asked.batch, requests))


@post("/hearth/v1/jobs/get", status_code=200)
async def get(request: Request[Any, Any, Any]) -> ASGIApp:
    """A job by its id or name."""
    call, asked = await read(request, JobName)
    return as_json(await call.hub.engine.jobs.get(asked.job, asked.owner))


@post("/hearth/v1/jobs/find", status_code=200)
async def find(request: Request[Any, Any, Any]) -> ASGIApp:
    """Jobs, the newest first."""
    call, query = await read(request, JobQuery)
    return as_json(await call.hub.engine.jobs.find(query))


@post("/hearth/v1/jobs/outcome", status_code=200)
async def outcome(request: Request[Any, Any, Any]) -> ASGIApp:
    """What was asked and what came of it, in full."""
    call, asked = await read(request, JobName)
    return as_json(await call.hub.engine.jobs.outcome(asked.job, asked.owner))


@post("/hearth/v1/jobs/outcomes", status_code=200)
async def outcomes(request: Request[Any, Any, Any]) -> ASGIApp:
    """The outcomes of a batch, in the order of their jobs."""
    call, asked = await read(request, Outcomes)
    return as_json(await call.hub.engine.jobs.outcomes(asked.batch, asked.after, asked.limit))


@post("/hearth/v1/jobs/cancel", status_code=200)
async def cancel(request: Request[Any, Any, Any]) -> ASGIApp:
    """End a job; one that is over stays as it is."""
    call, asked = await read(request, JobName)
    return as_json(await call.hub.engine.jobs.cancel(asked.job, asked.owner))


@post("/hearth/v1/jobs/retry", status_code=200)
async def retry(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue a job that failed or was cancelled once more."""
    call, asked = await read(request, JobName)
    return as_json(await call.hub.engine.jobs.retry(asked.job, asked.owner))


@post("/hearth/v1/jobs/watch", status_code=200)
async def watch(request: Request[Any, Any, Any]) -> ASGIApp:
    """The job as it is now, then all that becomes of it, as events, until it is over."""
    call, asked = await read(request, JobName)
    # One that is not there is told by the status.
    await call.hub.engine.jobs.get(asked.job, asked.owner)
    updates = call.hub.engine.jobs.watch(asked.job, asked.owner)
    return Following(call.hub, call.principal, updates, Updates())


@post("/hearth/v1/jobs/drop", status_code=200)
async def drop(request: Request[Any, Any, Any]) -> ASGIApp:
    """Forget a job."""
    call, asked = await read(request, JobName)
    await call.hub.engine.jobs.drop(asked.job, asked.owner)
    return as_json({})


@post("/hearth/v1/jobs/batch", status_code=200)
async def batch(request: Request[Any, Any, Any]) -> ASGIApp:
    """A batch as it is now."""
    call, asked = await read(request, BatchName)
    return as_json(await call.hub.engine.jobs.batch(asked.batch, asked.owner))


@post("/hearth/v1/jobs/batches", status_code=200)
async def batches(request: Request[Any, Any, Any]) -> ASGIApp:
    """Batches of a kind, the newest first."""
    call, asked = await read(request, Batches)
    jobs = call.hub.engine.jobs
    return as_json(await jobs.batches(asked.kind, asked.owner, before=asked.before, limit=asked.limit))


@post("/hearth/v1/jobs/cancel_batch", status_code=200)
async def cancel_batch(request: Request[Any, Any, Any]) -> ASGIApp:
    """End all jobs of a batch that are not over."""
    call, asked = await read(request, BatchName)
    return as_json(await call.hub.engine.jobs.cancel_batch(asked.batch, asked.owner))


@post("/hearth/v1/jobs/drop_batch", status_code=200)
async def drop_batch(request: Request[Any, Any, Any]) -> ASGIApp:
    """Forget a batch and its jobs."""
    call, asked = await read(request, BatchName)
    await call.hub.engine.jobs.drop_batch(asked.batch, asked.owner)
    return as_json({})


@post("/hearth/v1/jobs/keep_file", status_code=200)
async def keep_file(request: Request[Any, Any, Any]) -> ASGIApp:
    """Keep a file, its bytes in base64."""
    call, asked = await read(request, KeepFile)
    return as_json(await call.hub.engine.jobs.keep_file(asked.file, asked.data))


@post("/hearth/v1/jobs/file", status_code=200)
async def file(request: Request[Any, Any, Any]) -> ASGIApp:
    """What is known of a file."""
    call, asked = await read(request, FileName)
    return as_json(await call.hub.engine.jobs.file(asked.file, asked.owner))


@post("/hearth/v1/jobs/read_file", status_code=200)
async def read_file(request: Request[Any, Any, Any]) -> ASGIApp:
    """The bytes of a file."""
    call, asked = await read(request, FileName)
    data = await call.hub.engine.jobs.read_file(asked.file, asked.owner)
    return Reply(data, media_type=b"application/octet-stream")


@post("/hearth/v1/jobs/files", status_code=200)
async def files(request: Request[Any, Any, Any]) -> ASGIApp:
    """Files, the newest first."""
    call, asked = await read(request, Files)
    jobs = call.hub.engine.jobs
    found = await jobs.files(asked.owner, purpose=asked.purpose, before=asked.before, limit=asked.limit)
    return as_json(found)


@post("/hearth/v1/jobs/drop_file", status_code=200)
async def drop_file(request: Request[Any, Any, Any]) -> ASGIApp:
    """Delete a file."""
    call, asked = await read(request, FileName)
    await call.hub.engine.jobs.drop_file(asked.file, asked.owner)
    return as_json({})


def _checked(asked: JobRequest, hub: Any, client: str) -> JobRequest:
    """A job that names no files of this machine. Raises InvalidRequest, ModelNotFound."""
    kept: dict[str, Any] = {} if asked.client else {"client": client}
    for name in ("request", "embed"):
        inner = getattr(asked, name)
        if inner is not None:
            check_names(inner, hub)
            kept[name] = replace(inner, model=hub.model(inner.model))
    return replace(asked, **kept)


ROUTES = [
    submit, submit_batch, get, find, outcome, outcomes, cancel, retry, watch, drop, batch, batches, cancel_batch,
    drop_batch, keep_file, file, read_file, files, drop_file,
]  # fmt: skip
