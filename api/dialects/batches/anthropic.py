"""`/v1/messages/batches`: messages that are answered when there is time, by ids of their submitter."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, delete, get, post
from litestar.types import ASGIApp

from api import errors
from api.answering.call import Call
from api.answering.reply import as_json
from api.answering.result import Result
from api.dialects.anthropic.codec import MessageWhole
from api.dialects.anthropic.request import message_request
from api.dialects.batches.files import page_size
from api.dialects.jobs.owners import owner_of, sees
from api.reading.fields import Fields, as_kind
from engine.errors import ErrorInfo, HearthError, InternalError, InvalidRequest, JobNotFound
from engine.types import Batch, BatchRequest, JobOutcome, JobRequest

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

    from engine import Jobs

KIND: Final = "anthropic"
MOST: Final = 100_000
_LIVES_S: Final = 24 * 3600.0
_AT_ONCE: Final = 200
_BASES: Final = ("/v1", "/anthropic/v1", "/v1/v1", "/anthropic")


def _paths(rest: str = "") -> list[str]:
    return [f"{base}/messages/batches{rest}" for base in _BASES]


@post(_paths(), status_code=200)
async def create(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue messages. One that could not be sent becomes a result that has failed, as the protocol has it."""
    call = await Call.of(request)
    listed = call.fields.need("requests", list[dict[str, Any]])
    if not listed:
        raise InvalidRequest("requests: must not be empty", param="requests")
    if len(listed) > MOST:
        raise InvalidRequest(f"requests: at most {MOST:,}", param="requests")
    owner, expires = owner_of(call.principal), time.time() + _LIVES_S
    seen: set[str] = set()
    jobs: list[JobRequest] = []
    refused: list[dict[str, Any]] = []
    for place, each in enumerate(listed):
        custom = as_kind(each.get("custom_id"), str, f"requests.{place}.custom_id")
        if not 0 < len(custom) <= 64 or custom in seen:
            raise InvalidRequest(
                f"requests.{place}.custom_id: must be unique, of 1 to 64 letters", param="requests"
            )
        seen.add(custom)
        params = as_kind(each.get("params"), dict[str, Any], f"requests.{place}.params")
        one = Call(request, call.hub, Fields(params))
        try:
            if params.get("stream"):
                raise InvalidRequest("stream: cannot be used in a batch", param="stream")
            asked = await one.settled(one.complete(message_request(one.fields, one.model())))
            jobs.append(
                JobRequest(
                    request=asked,
                    custom_id=custom,
                    owner=owner,
                    client=call.principal.name,
                    expires=expires,
                    extra={"named": one.named},
                )
            )
        except HearthError as error:
            refused.append({"custom_id": custom, "result": _errored(error.info, call.id)})
        if place % 50 == 49:
            await asyncio.sleep(0)
    made = await call.hub.engine.jobs.submit_batch(
        BatchRequest(
            id=f"msgbatch_{secrets.token_hex(12)}",
            kind=KIND,
            owner=owner,
            expires=expires,
            extra={"refused": refused},
        ),
        jobs,
    )
    return as_json(_shown(request, made), headers=call.notes())


@get(_paths(), status_code=200)
async def listed(request: Request[Any, Any, Any]) -> ASGIApp:
    """The caller's batches, the newest first."""
    call, params = _call(request), request.query_params
    limit = page_size(params.get("limit"), 20, 1000)
    owner, kept = sees(call.principal), call.hub.engine.jobs
    after, before = params.get("after_id"), params.get("before_id")
    if before is not None:
        everything = await _all(kept, owner)
        ids = [each.id for each in everything]
        newer = everything[: ids.index(before)] if before in ids else []
        found, more = newer[-limit:], len(newer) > limit
    else:
        page = await kept.batches(KIND, owner, before=after, limit=limit + 1)
        found, more = page[:limit], len(page) > limit
    data = [_shown(request, each) for each in found]
    ends = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return as_json({"data": data, "has_more": more, "first_id": ends[0], "last_id": ends[1]})


@get(_paths("/{batch:str}"), status_code=200)
async def fetch(request: Request[Any, Any, Any]) -> ASGIApp:
    """A batch as it is now."""
    return as_json(_shown(request, await _batch(request)))


@get(_paths("/{batch:str}/results"), status_code=200)
async def results(request: Request[Any, Any, Any]) -> ASGIApp:
    """A line for each message, once the batch has ended."""
    batch = await _batch(request)
    if batch.ended is None:
        raise JobNotFound(
            f"The batch {batch.id} has no results yet.",
            "It has not ended.",
            "Ask again when its processing_status is `ended`.",
        )
    return _Lines(_results(_call(request).hub.engine.jobs, batch))


@post(_paths("/{batch:str}/cancel"), status_code=200)
async def cancel(request: Request[Any, Any, Any]) -> ASGIApp:
    """End what is left of a batch; what is done stays."""
    batch = await _batch(request)
    return as_json(_shown(request, await _call(request).hub.engine.jobs.cancel_batch(batch.id)))


@delete(_paths("/{batch:str}"), status_code=200)
async def drop(request: Request[Any, Any, Any]) -> ASGIApp:
    """Forget a batch that has ended. Raises Conflict for another."""
    batch = await _batch(request)
    await _call(request).hub.engine.jobs.drop_batch(batch.id)
    return as_json({"id": batch.id, "type": "message_batch_deleted"})


class _Lines:
    """Sends lines as they are made: a large batch is never in memory as a whole."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head: Any = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/x-jsonl")],
        }
        await send(head)
        async for lines in self._lines:
            body: Any = {"type": "http.response.body", "body": lines, "more_body": True}
            await send(body)
        last: Any = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(last)


async def _results(kept: Jobs, batch: Batch) -> AsyncIterator[bytes]:
    yield b"".join(msgspec.json.encode(line) + b"\n" for line in batch.extra["refused"])
    after = 0
    while found := await kept.outcomes(batch.id, after, _AT_ONCE):
        yield b"".join(await asyncio.to_thread(lambda each: list(map(_written, each)), found))
        after = found[-1].job.id


def _written(outcome: JobOutcome) -> bytes:
    job = outcome.job
    if job.state == "done":
        asked = outcome.request
        assert asked is not None
        result = Result()
        for event in outcome.events:
            result.add(event)
        message = MessageWhole(f"job_{job.id}", outcome.extra["named"], asked.stop).body(result)
        said: dict[str, Any] = {"type": "succeeded", "message": msgspec.Raw(message)}
    elif job.state == "cancelled":
        said = {"type": "canceled"}
    elif job.error is not None and job.error.code == "expired":
        said = {"type": "expired"}
    else:
        said = _errored(job.error or InternalError("The job failed.").info, f"job_{job.id}")
    return msgspec.json.encode({"custom_id": job.custom_id, "result": said}) + b"\n"


def _errored(error: ErrorInfo, id: str) -> dict[str, Any]:
    return {"type": "errored", "error": errors.body_of(error, "anthropic", request_id=f"req_{id}")}


async def _batch(request: Request[Any, Any, Any]) -> Batch:
    call, id = _call(request), request.path_params["batch"]
    found = await call.hub.engine.jobs.batch(id, sees(call.principal))
    if found.kind != KIND:
        raise JobNotFound(f"There is no batch {id[:80]}.")
    return found


async def _all(kept: Jobs, owner: str | None) -> list[Batch]:
    return await kept.batches(KIND, owner, limit=100_000)


def _shown(request: Request[Any, Any, Any], batch: Batch) -> dict[str, Any]:
    counts = batch.counts
    status = "ended" if batch.ended is not None else "canceling" if batch.cancelled else "in_progress"
    over = status == "ended"
    path = request.url.path.partition("/messages/batches")[0]
    where = f"{request.url.scheme}://{request.headers['host']}{path}/messages/batches/{batch.id}/results"
    shown = {
        "processing": counts.get("queued", 0) + counts.get("processing", 0),
        "succeeded": counts.get("done", 0),
        "errored": counts.get("error", 0) + len(batch.extra["refused"]),
        "canceled": counts.get("cancelled", 0),
        "expired": counts.get("expired", 0),
    }
    if not over:
        # Tallied only at the end: until then all of them are being processed.
        shown = dict.fromkeys(shown, 0) | {"processing": batch.total + len(batch.extra["refused"])}
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": shown,
        "created_at": _moment(batch.created),
        "expires_at": _moment(batch.expires),
        "ended_at": _moment(batch.ended),
        "cancel_initiated_at": _moment(batch.cancelled),
        "archived_at": None,
        "results_url": where if over else None,
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _call(request: Request[Any, Any, Any]) -> Call:
    return Call(request, request.app.state["hub"], Fields({}))


ROUTES = [create, listed, fetch, results, cancel, drop]
