"""`/v1/batches`: a file of requests in, a file of answers out."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, get, post
from litestar.types import ASGIApp
from msgspec.structs import replace

from api.answering.call import Call
from api.answering.reply import as_json
from api.dialects.batches.files import page_size, paged
from api.dialects.batches.lines import ENDPOINTS, job_of, lines_of, refused, written
from api.dialects.jobs.owners import owner_of, sees
from api.reading.fields import Fields
from engine.errors import HearthError, InvalidRequest, JobNotFound
from engine.settings import parse_duration
from engine.types import Batch, BatchRequest, JobRequest, KeptFile

if TYPE_CHECKING:
    from api.hub import Hub

KIND: Final = "openai"
_BATCH: Final = "/v1/batches/{batch:str}"
_AT_ONCE: Final = 500
_SHORTEST_S: Final = 60.0


@post("/v1/batches", status_code=200)
async def create(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue the lines of a file. A file with a fault makes a batch that has failed, as the protocol has it."""
    call = await Call.of(request)
    fields = call.fields
    endpoint = fields.need("endpoint", str)
    if endpoint not in ENDPOINTS:
        raise InvalidRequest(
            f"`endpoint` {endpoint[:80]!r} has no batches here.",
            f"They are {', '.join(ENDPOINTS)}.",
            param="endpoint",
        )
    file = fields.need("input_file_id", str)
    window = fields.take("completion_window", str) or "24h"
    metadata = fields.take("metadata", dict[str, Any]) or {}
    fields.known(("output_expires_after",))
    jobs = call.hub.engine.jobs
    data = await jobs.read_file(file, sees(call.principal))
    lines, problems = await asyncio.to_thread(lines_of, data, endpoint)
    owner, now = owner_of(call.principal), time.time()
    expires = now + _window(window)
    requests: list[JobRequest] = []
    turned_away: list[dict[str, Any]] = []
    if not problems:
        for place, line in enumerate(lines):
            try:
                job = await job_of(request, call.hub, line, endpoint)
                requests.append(replace(job, owner=owner, client=call.principal.name, expires=expires))
            except HearthError as error:
                turned_away.append(refused(place, line, error))
            if place % 50 == 49:
                await asyncio.sleep(0)
    extra = {
        "endpoint": endpoint,
        "file": file,
        "window": window,
        "metadata": metadata,
        "errors": [msgspec.to_builtins(each) for each in problems],
        "refused": turned_away,
    }
    made = await jobs.submit_batch(
        BatchRequest(
            id=f"batch_{secrets.token_hex(12)}", kind=KIND, owner=owner, expires=expires, extra=extra
        ),
        requests,
    )
    return as_json(await _shown(call.hub, made), headers=call.notes())


@get("/v1/batches", status_code=200)
async def listed(request: Request[Any, Any, Any]) -> ASGIApp:
    """The caller's batches, the newest first."""
    call, params = _call(request), request.query_params
    limit = page_size(params.get("limit"), 20, 100)
    found = await call.hub.engine.jobs.batches(
        KIND, sees(call.principal), before=params.get("after"), limit=limit + 1
    )
    return as_json(paged([await _shown(call.hub, each) for each in found], limit))


@get(_BATCH, status_code=200)
async def fetch(request: Request[Any, Any, Any]) -> ASGIApp:
    """A batch as it is now."""
    call = _call(request)
    return as_json(await _shown(call.hub, await _batch(call, request.path_params["batch"])))


@post(f"{_BATCH}/cancel", status_code=200)
async def cancel(request: Request[Any, Any, Any]) -> ASGIApp:
    """End what is left of a batch; what is done stays."""
    call, id = _call(request), request.path_params["batch"]
    await _batch(call, id)
    return as_json(await _shown(call.hub, await call.hub.engine.jobs.cancel_batch(id)))


async def _batch(call: Call, id: str) -> Batch:
    found = await call.hub.engine.jobs.batch(id, sees(call.principal))
    if found.kind != KIND:
        raise JobNotFound(f"There is no batch {id[:80]}.")
    return found


async def _shown(hub: Hub, batch: Batch) -> dict[str, Any]:
    """The batch as the protocol has it, its files made if it is over."""
    extra, counts = batch.extra, batch.counts
    failed_whole = bool(extra["errors"])
    over = batch.ended is not None
    turned_away = len(extra["refused"])
    done = counts.get("done", 0)
    bad = counts.get("error", 0) + counts.get("expired", 0) + counts.get("cancelled", 0) + turned_away
    status = "completed"
    if failed_whole:
        status = "failed"
    elif not over:
        status = "cancelling" if batch.cancelled else "in_progress"
    elif batch.cancelled:
        status = "cancelled"
    elif counts.get("expired"):
        status = "expired"
    output = error = None
    if over and not failed_whole:
        output, error = await _files(hub, batch, good=done > 0, bad=bad > 0)
    created, ended = int(batch.created), int(batch.ended) if batch.ended is not None else None
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": extra["endpoint"],
        "model": None,
        "errors": {"object": "list", "data": extra["errors"]} if failed_whole else None,
        "input_file_id": extra["file"],
        "completion_window": extra["window"],
        "status": status,
        "output_file_id": output,
        "error_file_id": error,
        "created_at": created,
        "in_progress_at": None if failed_whole else int(batch.started or batch.created),
        "expires_at": int(batch.expires) if batch.expires else None,
        "finalizing_at": ended if status in ("completed", "expired") else None,
        "completed_at": ended if status == "completed" else None,
        "failed_at": created if failed_whole else None,
        "expired_at": ended if status == "expired" else None,
        "cancelling_at": int(batch.cancelled) if batch.cancelled else None,
        "cancelled_at": ended if status == "cancelled" else None,
        "request_counts": {
            "total": batch.total + turned_away,
            "completed": done,
            "failed": counts.get("error", 0) + counts.get("expired", 0) + turned_away,
        },
        "usage": None,
        "metadata": extra["metadata"],
    }


async def _files(hub: Hub, batch: Batch, *, good: bool, bad: bool) -> tuple[str | None, str | None]:
    """The ids of the files of answers and of errors; made when they are first asked for."""
    jobs = hub.engine.jobs
    stem = batch.id.removeprefix("batch_")
    ids = (f"file-{stem}-output" if good else None, f"file-{stem}-errors" if bad else None)
    wanted = [id for id in ids if id is not None]
    try:
        for id in wanted:
            await jobs.file(id)
    except JobNotFound:
        outputs: list[bytes] = []
        failures = [msgspec.json.encode(line) + b"\n" for line in batch.extra["refused"]]
        after = 0
        while found := await jobs.outcomes(batch.id, after, _AT_ONCE):
            for outcome, line in zip(
                found, await asyncio.to_thread(lambda each: list(map(written, each)), found), strict=True
            ):
                (outputs if outcome.job.state == "done" else failures).append(line)
            after = found[-1].job.id
        for made, lines, what in ((ids[0], outputs, "output"), (ids[1], failures, "error")):
            if made is not None:
                file = KeptFile(
                    id=made, name=f"{batch.id}_{what}.jsonl", purpose="batch_output", owner=batch.owner
                )
                await jobs.keep_file(file, b"".join(lines))
    return ids


def _window(said: str) -> float:
    try:
        seconds = parse_duration(said)
    except ValueError:
        seconds = 0.0
    if not _SHORTEST_S <= seconds <= 30 * 86400:
        raise InvalidRequest(
            f"`completion_window` {said[:40]!r} is no time that a batch can have.",
            "From 1m to 30d.",
            "Such as 24h.",
            param="completion_window",
        )
    return seconds


def _call(request: Request[Any, Any, Any]) -> Call:
    return Call(request, request.app.state["hub"], Fields({}))


ROUTES = [create, listed, fetch, cancel]
