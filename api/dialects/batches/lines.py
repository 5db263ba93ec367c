"""A line of an OpenAI batch: read into a job, and its outcome written as the endpoint would have answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from api import errors
from api.answering.call import Call
from api.answering.result import Result
from api.dialects.openai.chat import chat_request
from api.dialects.openai.chat_codec import ChatWhole, Head
from api.dialects.openai.completions import completion_request, prompts_of
from api.dialects.openai.completions_codec import CompletionWhole
from api.dialects.openai.embeddings import embed_request, embedded
from api.dialects.responses.codec import completed
from api.dialects.responses.request import Asked, asked_of
from api.reading.body import check_depth
from api.reading.fields import Fields
from engine.errors import ErrorInfo, HearthError, InternalError, InvalidRequest
from engine.types import JobOutcome, JobRequest

if TYPE_CHECKING:
    from litestar import Request

    from api.hub import Hub

ENDPOINTS: Final = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")
MOST_LINES: Final = 50_000
_MOST_ERRORS: Final = 20


class Line(Struct, frozen=True, kw_only=True):
    """A line that has the right form. What its body asks for may still be refused."""

    custom_id: str
    body: dict[str, Any]


class Problem(Struct, frozen=True, kw_only=True):
    """What is wrong with a batch as a whole; `line` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


def lines_of(data: bytes, endpoint: str) -> tuple[list[Line], list[Problem]]:
    """The lines of a batch's file and what is wrong with them; with a problem nothing of it is done."""
    found: list[Line] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for number, raw in enumerate(data.splitlines(), 1):
        if not raw.strip():
            continue
        if len(found) >= MOST_LINES:
            problems.append(
                Problem(code="too_many_tasks", message=f"At most {MOST_LINES:,} lines are taken.")
            )
            break
        if len(problems) >= _MOST_ERRORS:
            break
        line = _line(raw, endpoint, number)
        if isinstance(line, Line) and line.custom_id in seen:
            message = f"The custom_id {line.custom_id[:80]!r} is there twice."
            line = Problem(code="duplicate_custom_id", message=message, line=number, param="custom_id")
        if isinstance(line, Problem):
            problems.append(line)
        else:
            seen.add(line.custom_id)
            found.append(line)
    if not found and not problems:
        problems.append(Problem(code="empty_file", message="The file holds no line."))
    return found, problems


def _line(raw: bytes, endpoint: str, number: int) -> Line | Problem:
    def wrong(code: str, message: str, param: str | None = None) -> Problem:
        return Problem(code=code, message=message, line=number, param=param)

    try:
        value = msgspec.json.decode(raw)
        check_depth(value)
    except (msgspec.MsgspecError, ValueError, RecursionError, InvalidRequest) as error:
        return wrong("invalid_json_line", f"This line is not JSON: {str(error)[:200]}.")
    if not isinstance(value, dict):
        return wrong("invalid_json_line", "This line is no JSON object.")
    custom, method, url, body = (value.get(name) for name in ("custom_id", "method", "url", "body"))
    if not isinstance(custom, str) or not 0 < len(custom) <= 512:
        return wrong("missing_required_parameter", "custom_id is required.", "custom_id")
    if method != "POST":
        return wrong("invalid_method", "method must be POST.", "method")
    if url != endpoint:
        return wrong("mismatched_endpoint", f"url must be {endpoint}, as the batch says.", "url")
    if not isinstance(body, dict):
        return wrong("missing_required_parameter", "body is required.", "body")
    if body.get("stream"):
        return wrong("invalid_request", "stream cannot be used in a batch.", "body.stream")
    return Line(custom_id=custom, body=body)


async def job_of(request: Request[Any, Any, Any], hub: Hub, line: Line, endpoint: str) -> JobRequest:
    """The job of a line. Raises HearthError for a body that the endpoint would refuse."""
    call = Call(request, hub, Fields(line.body))
    extra: dict[str, Any] = {"named": call.named, "endpoint": endpoint}
    match endpoint:
        case "/v1/embeddings":
            asked, form = embed_request(call)
            return JobRequest(embed=asked, extra={**extra, "form": form}, custom_id=line.custom_id)
        case "/v1/completions":
            base = completion_request(call.fields, call.model())
            prompts = prompts_of(call.fields)
            if len(prompts) > 1:
                raise InvalidRequest(
                    "A line of a batch has one prompt.",
                    f"This one has {len(prompts)}.",
                    "Write a line for each.",
                    param="prompt",
                )
            made = msgspec.structs.replace(call.complete(base), **prompts[0])
        case "/v1/responses":
            response = asked_of(call.fields, call.model(), call.named, "", ())
            if response.previous is not None:
                raise InvalidRequest("A line of a batch goes on from nothing.", param="previous_response_id")
            extra |= {"envelope": response.envelope, "summary": response.summary}
            made = call.complete(response.request)
        case _:
            made = call.complete(chat_request(call.fields, call.model()))
    return JobRequest(request=await call.settled(made), extra=extra, custom_id=line.custom_id)


def written(outcome: JobOutcome) -> bytes:
    """The line of a job that is over; one that was not done says why."""
    job = outcome.job
    line: dict[str, Any] = {
        "id": f"batch_req_{job.id}",
        "custom_id": job.custom_id,
        "response": None,
        "error": None,
    }
    if job.state == "done":
        line["response"] = _response(job.id, 200, msgspec.Raw(_answer(outcome)))
    elif job.state == "cancelled":
        line["error"] = {"code": "batch_cancelled", "message": "This request was cancelled."}
    elif job.error is not None and job.error.code == "expired":
        line["error"] = {"code": "batch_expired", "message": "This request was not done in time."}
    else:
        error = job.error or InternalError("The job failed, and nothing says why.").info
        line["response"] = _response(
            job.id, errors.status_of(error, "openai"), errors.body_of(error, "openai")
        )
    return msgspec.json.encode(line) + b"\n"


def refused(place: int, line: Line, error: HearthError) -> dict[str, Any]:
    """The line of one that never became a job."""
    info: ErrorInfo = error.info
    return {
        "id": f"batch_req_refused_{place}",
        "custom_id": line.custom_id,
        "response": _response(
            f"refused_{place}", errors.status_of(info, "openai"), errors.body_of(info, "openai")
        ),
        "error": None,
    }


def _response(id: int | str, status: int, body: Any) -> dict[str, Any]:
    return {"status_code": status, "request_id": f"req_job_{id}", "body": body}


def _answer(outcome: JobOutcome) -> bytes:
    job, extra = outcome.job, outcome.extra
    if outcome.embeddings is not None:
        return embedded(outcome.embeddings, extra["form"], extra["named"])
    request = outcome.request
    assert request is not None
    result = Result()
    for event in outcome.events:
        result.add(event)
    ended = job.ended or job.created
    shows = request.logprobs is not None
    match extra["endpoint"]:
        case "/v1/completions":
            head = Head(f"cmpl-job-{job.id}", int(ended), extra["named"])
            return CompletionWhole(head, [result.admitted], request.n, logprobs=shows).body(result)
        case "/v1/responses":
            asked = Asked(
                request=request,
                input=(),
                items=[],
                envelope={**extra["envelope"], "id": f"resp_job-{job.id}"},
                stream=False,
                background=False,
                store=False,
                summary=extra["summary"],
                previous=None,
            )
            return msgspec.json.encode(completed(asked, f"job-{job.id}", result, ended))
    head = Head(f"chatcmpl-job-{job.id}", int(ended), extra["named"])
    return ChatWhole(head, logprobs=shows).body(result)
