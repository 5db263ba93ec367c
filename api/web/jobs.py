"""The queue of jobs on a page: what waits, what runs, what came of it; submit, cancel, retry, forget."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, get, post
from litestar.types import ASGIApp

from api.security.pages import JOBS_PAGE
from api.web.choices import choices, chosen, usual
from api.web.forms import Form
from api.web.markdown import html_of
from api.web.visit import Visit
from engine.errors import InvalidRequest, JobNotFound
from engine.text_safety import clean
from engine.types import JOB_STATES, GenerationRequest, JobQuery, JobRequest, Message

PAGE: Final = 50
_JOB: Final = f"{JOBS_PAGE}/{{job:str}}"


@get(JOBS_PAGE, status_code=200)
async def listed(request: Request[Any, Any, Any]) -> ASGIApp:
    """The newest jobs; htmx gets the list alone."""
    visit = Visit(request)
    if visit.is_partial:
        return visit.page("parts/jobs.html", **await _list(visit))
    return visit.page(
        "jobs.html",
        choices=await choices(visit.hub, visit.listing),
        model=usual(visit.hub),
        **await _list(visit),
    )


@post(JOBS_PAGE, status_code=200)
async def submit(request: Request[Any, Any, Any]) -> ASGIApp:
    """Queue a question."""
    visit = Visit(request)
    sent = await Form.of(request)
    text = sent.text("text")
    if not text.strip():
        raise InvalidRequest("There is nothing to ask.", fix="Write something.", param="text")
    asked = GenerationRequest(
        model=chosen(visit.hub, sent.text("model")), messages=(Message(role="user", content=text),)
    )
    await visit.hub.engine.jobs.submit(JobRequest(request=asked, client=visit.principal.name))
    return visit.page("parts/jobs.html", **await _list(visit))


@get(_JOB, status_code=200)
async def shown(request: Request[Any, Any, Any]) -> ASGIApp:
    """A job with its answer in full."""
    visit = Visit(request)
    job = await visit.hub.engine.jobs.get(_id(request))
    return visit.page("parts/job.html", job=job, html=html_of(job.result) if job.result else "")


@post(f"{_JOB}/{{what:str}}", status_code=200)
async def act(request: Request[Any, Any, Any]) -> ASGIApp:
    """Cancel a job, retry it, or forget it."""
    visit = Visit(request)
    jobs, id = visit.hub.engine.jobs, _id(request)
    match request.path_params["what"]:
        case "cancel":
            await jobs.cancel(id)
        case "retry":
            await jobs.retry(id)
        case "forget":
            await jobs.drop(id)
        case _:
            raise InvalidRequest(
                "That cannot be done with a job.", "It can be cancelled, retried and forgotten."
            )
    return visit.page("parts/jobs.html", **await _list(visit))


async def _list(visit: Visit) -> dict[str, Any]:
    params = visit.request.query_params
    state, text = params.get("state", ""), clean(params.get("q", ""))[:1000]
    if state and state not in JOB_STATES:
        raise InvalidRequest("There is no such state.", f"They are {', '.join(JOB_STATES)}.", param="state")
    before = params.get("before", "")
    page = await visit.hub.engine.jobs.find(
        JobQuery(
            states=(state,) if state else (),
            text=text,
            before=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
            limit=PAGE,
        )
    )
    return {
        "jobs": page.jobs,
        "counts": page.counts,
        "more": page.jobs[-1].id if page.more and page.jobs else 0,
        "states": JOB_STATES,
        "state": state,
        "searched": text,
        "is_moving": any(not job.over for job in page.jobs),
    }


def _id(request: Request[Any, Any, Any]) -> int:
    said: str = request.path_params["job"]
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise JobNotFound("There is no such job.", "Jobs go by whole numbers.")
    return int(said)


ROUTES = [listed, submit, shown, act]
