"""One route a method of `engine.jobs.face.Jobs` under `/hearth/v1/jobs/`, for an engine's face elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from msgspec import Struct
from msgspec.structs import replace

from api.answering.reply import Reply, as_json
from api.dialects.jobs.following import Following
from api.dialects.native.files import check_names
from api.dialects.native.reading import read
from engine.errors import Conflict, ErrorInfo, InvalidRequest, JobNotFound
from engine.types import BatchRequest, JobQuery, JobRequest, JobUpdate, KeptFile

if TYPE_CHECKING:
    from api.hub import Hub

_json = msgspec.json.Encoder()


class OfJob(Struct, frozen=True, kw_only=True):
    job: int | str
    owner: str | None = None


class OfBatch(Struct, frozen=True, kw_only=True):
    batch: str
    owner: str | None = None


class OfFile(Struct, frozen=True, kw_only=True):
    file: str
    owner: str | None = None


class Outcomes(Struct, frozen=True, kw_only=True):
    batch: str
    after: int = 0
    limit: int = 100


class Batches(Struct, frozen=True, kw_only=True):
    kind: str
    owner: str | None = None
    before: str | None = None
    limit: int = 20


class Files(Struct, frozen=True, kw_only=True):
    owner: str | None = None
    purpose: str | None = None
    before: str | None = None
    limit: int = 10_000


class Together(Struct, frozen=True, kw_only=True):
    batch: BatchRequest
    requests: tuple[JobRequest, ...]


class Kept(Struct, frozen=True, kw_only=True):
    file: KeptFile
    data: bytes


_METHODS: dict[str, tuple[type[Struct], str]] = {
    "get": (OfJob, "A job."),
    "outcome": (OfJob, "What was asked and what came of it."),
    "outcomes": (Outcomes, "Those of a batch."),
    "cancel": (OfJob, "End a job."),
    "retry": (OfJob, "Queue a job that failed once more."),
    "drop": (OfJob, "Forget a job."),
    "batch": (OfBatch, "A batch."),
    "batches": (Batches, "Batches of a kind, the newest first."),
    "cancel_batch": (OfBatch, "End all jobs of a batch."),
    "drop_batch": (OfBatch, "Forget a batch and its jobs."),
    "keep_file": (Kept, "Keep a file, its bytes in base64."),
    "file": (OfFile, "What is known of a file."),
    "files": (Files, "Files, the newest first."),
    "drop_file": (OfFile, "Forget a file."),
}
"""Those whose arguments are the fields of a Struct as they stand; what each does."""


def _route(name: str, kind: type[Struct], does: str) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any]) -> ASGIApp:
        call, asked = await read(request, kind)
        method = getattr(call.hub.engine.jobs, name)
        fields = {field: getattr(asked, field) for field in asked.__struct_fields__}
        return as_json(await method(**fields))

    handler.__doc__, handler.__name__ = does, name
    return post(f"/hearth/v1/jobs/{name}", status_code=200, name=f"jobs-{name}")(handler)


@post("/hearth/v1/jobs/submit", status_code=200)
async def submit(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue a job."""
    call, asked = await read(request, JobRequest)
    return as_json(await call.hub.engine.jobs.submit(_named(asked, call.hub)))


@post("/hearth/v1/jobs/submit_batch", status_code=200)
async def submit_batch(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue jobs together."""
    call, asked = await read(request, Together)
    requests = [_named(each, call.hub) for each in asked.requests]
    queue = call.hub.engine.jobs
    if not asked.batch.id:
        raise InvalidRequest("A batch needs an id.", param="batch.id")
    with contextlib.suppress(JobNotFound):
        there = await queue.batch(asked.batch.id)
        raise Conflict(f"There is a batch {there.id!r} already.", fix="Choose another id.", param="batch.id")
    return as_json(await queue.submit_batch(asked.batch, requests))


@post("/hearth/v1/jobs/find", status_code=200)
async def find(request: Request[Any, Any, Any]) -> ASGIApp:
    """Jobs, the newest first."""
    call, query = await read(request, JobQuery)
    return as_json(await call.hub.engine.jobs.find(query))


@post("/hearth/v1/jobs/read_file", status_code=200)
async def read_file(request: Request[Any, Any, Any]) -> ASGIApp:
    """The bytes of a file."""
    call, asked = await read(request, OfFile)
    data = await call.hub.engine.jobs.read_file(asked.file, asked.owner)
    return Reply(data, media_type=b"application/octet-stream")


@post("/hearth/v1/jobs/watch", status_code=200)
async def watch(request: Request[Any, Any, Any]) -> ASGIApp:
    """What becomes of a job, as events, until it is over."""
    call, asked = await read(request, OfJob)
    # One that is not there is an answer of its own, not a broken stream.
    await call.hub.engine.jobs.get(asked.job, asked.owner)
    updates = call.hub.engine.jobs.watch(asked.job, asked.owner)
    return Following(call.hub, call.principal, updates, Updates())


class Updates:
    """The updates themselves as server-sent events."""

    def update(self, update: JobUpdate) -> bytes:
        return b"event: job\ndata: %s\n\n" % _json.encode(update)

    def fail(self, error: ErrorInfo) -> bytes:
        return b"event: error\ndata: %s\n\n" % _json.encode(error)


def _named(asked: JobRequest, hub: Hub) -> JobRequest:
    """`asked` with a model's name that may be used over HTTP. Raises InvalidRequest, ModelNotFound."""
    if asked.request is None:
        return asked
    check_names(asked.request, hub)
    return replace(asked, request=replace(asked.request, model=hub.model(asked.request.model)))


ROUTES: list[Any] = [
    submit,
    submit_batch,
    find,
    read_file,
    watch,
    *(_route(name, kind, does) for name, (kind, does) in _METHODS.items()),
]
