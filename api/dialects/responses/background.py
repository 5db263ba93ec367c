"""Responses that are made behind the client's back: jobs of the durable queue, under the response's own id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api import errors
from api.answering.call import Call
from api.answering.result import Choice, Result
from api.dialects.jobs.following import Following
from api.dialects.jobs.owners import owner_of, sees
from api.dialects.responses.codec import ResponseCodec, completed
from api.dialects.responses.request import Asked
from api.dialects.responses.store import Kept, gone_on
from api.errors import Cancelled, NoRoute
from engine.errors import ErrorInfo, InternalError, JobNotFound
from engine.types import Done, Failed, JobOutcome, JobRequest, JobUpdate, StreamEvent

if TYPE_CHECKING:
    from api.hub import Hub
    from api.security.credentials import Principal

_STATES = {"queued": "queued", "processing": "in_progress", "error": "failed", "cancelled": "cancelled"}
_RESPONSE = "response"


async def submit(call: Call, asked: Asked) -> dict[str, Any]:
    """Queue it; the response object, which says so."""
    extra = {
        "kind": _RESPONSE,
        "envelope": asked.envelope,
        "items": asked.items,
        "summary": asked.summary,
        "previous": asked.previous,
    }
    await call.hub.engine.jobs.submit(
        JobRequest(
            request=asked.request,
            name=asked.envelope["id"],
            owner=owner_of(call.principal),
            client=call.principal.name,
            every_event=True,
            extra=extra,
        )
    )
    return {**asked.envelope, "status": "queued"}


async def find(hub: Hub, id: str, principal: Principal) -> JobOutcome:
    """Raises NoRoute for one that is not there or another's."""
    try:
        found = await hub.engine.jobs.outcome(id, sees(principal))
    except JobNotFound:
        found = None
    if found is None or not isinstance(found.extra, dict) or found.extra.get("kind") != _RESPONSE:
        raise NoRoute(f"There is no response {id[:80]!r}.", "It is unknown or no longer kept.")
    return found


def asked_in(outcome: JobOutcome) -> Asked:
    """What the job was made from."""
    assert outcome.request is not None
    extra = outcome.extra
    return Asked(
        request=outcome.request,
        input=(),
        items=extra["items"],
        envelope=extra["envelope"],
        stream=False,
        background=True,
        store=True,
        summary=extra["summary"],
        previous=extra["previous"],
    )


def shown(outcome: JobOutcome) -> dict[str, Any]:
    """The response object as it is now."""
    asked, job = asked_in(outcome), outcome.job
    if job.state == "done":
        return completed(asked, _id(asked), replayed(outcome), job.ended)
    found = {**asked.envelope, "status": _STATES[job.state]}
    if job.state == "error":
        body = errors.body_of(job.error or _unknown(), "openai")["error"]
        found["error"] = {"code": body["code"], "message": body["message"]}
    return found


def kept_of(outcome: JobOutcome) -> Kept:
    """The response as one that is gone on from. Raises NoRoute while there is no answer."""
    asked = asked_in(outcome)
    if outcome.job.state != "done":
        raise NoRoute(
            f"The response {outcome.job.name} is {_STATES[outcome.job.state]}.",
            "Only one that is completed can be gone on from.",
        )
    kept = Kept(asked, outcome.job.owner)
    kept.response, kept.messages = shown(outcome), gone_on(asked, replayed(outcome).first)
    return kept


def replayed(outcome: JobOutcome) -> Result:
    """The answer that came of a job."""
    result = Result()
    for event in outcome.events:
        result.add(event)
    return result


def following(hub: Hub, principal: Principal, outcome: JobOutcome, place: int) -> Following[JobUpdate]:
    """Sends the events from the one of that number on."""
    updates = hub.engine.jobs.watch(outcome.job.id)
    return Following(hub, principal, updates, ResponseEvents(asked_in(outcome), place))


class ResponseEvents:
    """The stream of a response, without its first `place` events."""

    def __init__(self, asked: Asked, place: int) -> None:
        self._asked, self._place = asked, place
        self._attempt = -1
        self._over = False
        self._held: Done | None = None
        self._seen = 0
        self._began()

    def update(self, update: JobUpdate) -> bytes:
        """See `Telling`."""
        if self._over:
            return b""
        job, event = update.job, update.event
        if event is not None:
            if job.attempt != self._attempt:
                if self._seen:
                    # The text so far is thrown away, and there is no event that says so.
                    return self._last(
                        InternalError(
                            "The response was begun anew.", fix="Fetch it when it is completed."
                        ).info
                    )
                self._attempt = job.attempt
                self._began()
            if isinstance(event, Failed) or (isinstance(event, Done) and event.reason == "cancelled"):
                return b""  # Whether that is the end, the job says.
            if isinstance(event, Done) and job.ended is None:
                # When it ended is told with the job's last state: every reader is told the same.
                self._held = event
                return b""
            return self._told(event, job.ended)
        if self._held is not None and job.state == "done":
            return self._told(self._held, job.ended)
        if job.state == "error":
            return self._last(job.error or _unknown())
        if job.state == "cancelled":
            return self._last(Cancelled("The response was cancelled.").info)
        return b""

    def fail(self, error: ErrorInfo) -> bytes:
        """See `Telling`."""
        return b"" if self._over else self._last(error)

    def _told(self, event: StreamEvent, ended: float | None) -> bytes:
        self._codec.ended = ended
        self._over = isinstance(event, Done)
        return self._cut(self._codec.event(event))

    def _last(self, error: ErrorInfo) -> bytes:
        self._over = True
        return self._cut(self._codec.fail(error))

    def _began(self) -> None:
        def finished(response: dict[str, Any], choice: Choice) -> None:
            """What is kept is the job."""

        self._codec = ResponseCodec(self._asked, _id(self._asked), finished)
        self._held = None
        self._seen = 0

    def _cut(self, pieces: bytes) -> bytes:
        found = []
        for piece in pieces.split(b"\n\n"):
            if piece:
                if self._seen >= self._place:
                    found.append(piece + b"\n\n")
                self._seen += 1
        return b"".join(found)


def _id(asked: Asked) -> str:
    id: str = asked.envelope["id"]
    return id.removeprefix("resp_")


def _unknown() -> ErrorInfo:
    return InternalError("The job failed, and nothing says why.").info
