"""Submit, look, cancel, retry, follow: the durable queue over plain REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Request, delete, get, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import as_json
from api.dialects.jobs.following import Following, JobEvents
from api.dialects.jobs.owners import conversation_of, owner_of, sees
from api.reading.fields import Fields
from api.reading.sampling import sampling_of, stops_of
from api.security.routes import JOBS
from engine.errors import InvalidRequest, JobNotFound
from engine.types import JOB_STATES, GenerationRequest, Job, JobQuery, JobRequest, Message

if TYPE_CHECKING:
    from api.hub import Hub

_MOST: Final = 1000
_JOB: Final = f"{JOBS}/jobs/{{job:str}}"


@post(f"{JOBS}/submit", status_code=200)
async def submit(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue `user_input`; with a `session_id` it is asked in that conversation."""
    call = await Call.of(request)
    fields = call.fields
    prompt = fields.need("user_input", str, "prompt", "message")
    if not prompt.strip():
        raise InvalidRequest("`user_input` is empty.", param="user_input")
    model = call.hub.model(fields.take("model", str) or call.hub.settings.models.default)
    limit = fields.take("max_tokens", int)
    if limit is not None and not 1 <= limit < 2**31:
        raise InvalidRequest("`max_tokens` is at least 1.", param="max_tokens")
    asked = GenerationRequest(
        model=model,
        messages=(Message(role="user", content=prompt),),
        system=fields.take("system_prompt", str, "system") or None,
        max_tokens=limit,
        sampling=sampling_of(fields),
        stop=stops_of(fields),
    )
    session = _session(fields)
    job = await call.hub.engine.jobs.submit(
        JobRequest(
            request=call.complete(asked),
            conversation=await conversation_of(call.hub, call.principal, session) if session != "" else "",
            owner=owner_of(call.principal),
            client=call.principal.name,
            priority=fields.take("priority", int) or 0,
            attempts=fields.take("max_attempts", int, "attempts"),
            timeout=_seconds(fields),
            idempotency_key=fields.take("idempotency_key", str) or call.headers.get("idempotency-key", ""),
            webhook=fields.take("webhook", str, "webhook_url", "callback_url"),
        )
    )
    answer = {"job_id": job.id, "conversation_id": job.conversation, "status": job.state}
    return as_json(answer, headers=call.notes())


@get(f"{JOBS}/jobs", status_code=200)
async def listed(request: Request[Any, Any, Any]) -> ASGIApp:
    """The newest jobs, those of a conversation or state alone if that is said."""
    call, params = _call(request), request.query_params
    states = tuple(each for each in params.get("status", "").split(",") if each)
    if wrong := [each for each in states if each not in JOB_STATES]:
        raise InvalidRequest(
            f"There is no status {wrong[0][:40]!r}.", f"They are {', '.join(JOB_STATES)}.", param="status"
        )
    conversation = params.get("conversation_id") or params.get("session_id")
    page = await call.hub.engine.jobs.find(
        JobQuery(
            owner=sees(call.principal),
            states=states,  # type: ignore[arg-type]
            conversation=None if not conversation else await _conversation(call, conversation),
            text=params.get("text", "")[:1000],
            before=_whole(params.get("before"), "before"),
            limit=min(_whole(params.get("limit"), "limit") or 50, _MOST),
        )
    )
    return as_json({"jobs": [job.told() for job in page.jobs], "counts": page.counts, "has_more": page.more})


@get(_JOB, status_code=200)
async def shown(request: Request[Any, Any, Any]) -> ASGIApp:
    """A job as it is now."""
    call = _call(request)
    return as_json((await call.hub.engine.jobs.get(_id(request), sees(call.principal))).told())


@post(f"{_JOB}/cancel", status_code=200)
async def cancel(request: Request[Any, Any, Any]) -> ASGIApp:
    """End a job; one that is over stays as it is."""
    call = _call(request)
    return as_json((await call.hub.engine.jobs.cancel(_id(request), sees(call.principal))).told())


@post(f"{_JOB}/retry", status_code=200)
async def retry(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue a job that failed or was cancelled once more."""
    call = _call(request)
    return as_json((await call.hub.engine.jobs.retry(_id(request), sees(call.principal))).told())


@delete(_JOB, status_code=200)
async def drop(request: Request[Any, Any, Any]) -> ASGIApp:
    """Forget a job."""
    call = _call(request)
    id = _id(request)
    await call.hub.engine.jobs.drop(id, sees(call.principal))
    return as_json({"id": id, "deleted": True})


@get(f"{_JOB}/events", status_code=200)
async def follow(request: Request[Any, Any, Any]) -> ASGIApp:
    """What becomes of a job, as server-sent events, until it is over."""
    call = _call(request)
    jobs, id, owner = call.hub.engine.jobs, _id(request), sees(call.principal)
    await jobs.get(id, owner)
    after = request.headers.get("last-event-id", "") or request.query_params.get("after", "")
    return Following(call.hub, call.principal, jobs.watch(id, owner), JobEvents(after))


@get(f"{JOBS}/status/{{conversation:str}}", status_code=200)
async def status(request: Request[Any, Any, Any]) -> ASGIApp:
    """The answer to the last question of a conversation; null while it is being worked on."""
    call = _call(request)
    wanted = request.path_params["conversation"]
    query = JobQuery(owner=sees(call.principal), conversation=await _conversation(call, wanted), limit=1)
    jobs: tuple[Job, ...] = (await call.hub.engine.jobs.find(query)).jobs
    if not jobs:
        raise JobNotFound(f"There is no job in a conversation {wanted[:80]!r}.")
    told = jobs[0].told()
    return as_json(
        {"response": told["result"], "status": told["status"], "error": told["error"], "job_id": told["id"]}
    )


def _call(request: Request[Any, Any, Any]) -> Call:
    hub: Hub = request.app.state["hub"]
    return Call(request, hub, Fields({}))


def _id(request: Request[Any, Any, Any]) -> int:
    said: str = request.path_params["job"]
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise JobNotFound(f"There is no job {said[:80]}.", "Jobs go by whole numbers.")
    return int(said)


def _session(fields: Fields) -> str | int:
    said = fields.any("session_id")
    if said is None:
        said = fields.any("conversation_id")
    if said is None:
        return ""
    if isinstance(said, bool) or not isinstance(said, str | int) or len(str(said)) > 512:
        raise InvalidRequest("`session_id` must be text or a whole number.", param="session_id")
    return said


async def _conversation(call: Call, said: str) -> str | int:
    """Of a query or path, where numbers come as text: a number that is no conversation of the caller's is a name."""
    number = said.isascii() and said.isdigit() and len(said) <= 18
    return await conversation_of(call.hub, call.principal, int(said) if number else said)


def _seconds(fields: Fields) -> float | None:
    found = fields.take("timeout", float)
    if found is not None and not 0 < found <= 1e7:
        raise InvalidRequest("`timeout` is in seconds, more than 0.", param="timeout")
    return found


def _whole(said: str | None, name: str) -> int | None:
    if not said:
        return None
    if not said.isascii() or not said.isdigit() or len(said) > 18 or not int(said):
        raise InvalidRequest(f"`{name}` must be a whole number from 1 on.", param=name)
    return int(said)


ROUTES = [submit, listed, shown, cancel, retry, drop, follow, status]
