"""Between rows and Structs. What is listed, asked for or decided by has a column; requests and answers are msgpack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from engine.errors import ErrorInfo, StorageFailed
from engine.types import (
    Batch,
    Delta,
    Embeddings,
    EmbedRequest,
    GenerationRequest,
    Job,
    JobOutcome,
    Json,
    KeptFile,
    StreamEvent,
    ToolDelta,
)

JOB = """
SELECT j.id, j.state, j.kind, j.owner, j.client, j.model, j.prompt, j.system, j.conversation, j.custom_id, j.name,
    j.priority, j.attempts, j.timeout, j.attempt, j.failures, j.created, j.due, j.expires, j.started, j.ended,
    j.result, j.error, j.webhook, j.hook, j.hook_error,
    (SELECT b.id FROM batches AS b WHERE b.key = j.batch),
    (SELECT c.id FROM conversations AS c WHERE c.key = j.conversation)
FROM jobs AS j
"""
OUTCOME = JOB.replace("\nFROM", ", j.request, j.extra, j.outcome\nFROM")
BATCH = """
SELECT b.id, b.kind, b.owner, b.created, b.expires, b.cancelled, b.total, b.extra,
    (SELECT min(started) FROM jobs AS j WHERE j.batch = b.key),
    (SELECT max(ended) FROM jobs AS j WHERE j.batch = b.key)
FROM batches AS b
"""
FILE = "SELECT id, name, purpose, owner, length(data), created FROM files"

_requests = msgspec.msgpack.Decoder(GenerationRequest)
_embeds = msgspec.msgpack.Decoder(EmbedRequest)
_events = msgspec.msgpack.Decoder(tuple[StreamEvent, ...])
_vectors = msgspec.msgpack.Decoder(Embeddings)


def job_of(row: Sequence[Any]) -> Job:
    """The job of a row of `JOB`."""
    (
        id, state, kind, owner, client, model, prompt, system, conversation, custom_id, name, priority, attempts,
        timeout, attempt, failures, created, due, expires, started, ended, result, error, webhook, hook, hook_error,
        batch, conversation_id,
    ) = row[:28]  # fmt: skip
    return Job(
        id=id,
        state=state,
        kind=kind,
        owner=owner,
        client=client,
        model=model,
        prompt=prompt,
        system=system,
        conversation=conversation,
        conversation_id=conversation_id or "",
        priority=priority,
        attempt=attempt,
        failures=failures,
        attempts=attempts,
        timeout=timeout,
        created=created,
        due=due,
        started=started,
        ended=ended,
        expires=expires,
        result=result,
        error=error_of(error),
        batch=batch or "",
        custom_id=custom_id,
        name=name or "",
        webhook=webhook,
        webhook_state=hook,
        webhook_error=hook_error,
    )


def error_of(text: str | None) -> ErrorInfo | None:
    """The error of its column."""
    return msgspec.json.decode(text, type=ErrorInfo) if text else None


def outcome_of(row: Sequence[Any]) -> JobOutcome:
    """The job of a row of `OUTCOME`, in full. Raises StorageFailed for what another version wrote otherwise."""
    job = job_of(row)
    request, extra, outcome = row[28:]
    try:
        if job.kind == "embed":
            return JobOutcome(
                job=job,
                embed=_embeds.decode(request),
                extra=json_of(extra),
                embeddings=_vectors.decode(outcome) if outcome else None,
            )
        return JobOutcome(
            job=job,
            request=_requests.decode(request),
            extra=json_of(extra),
            events=_events.decode(outcome) if outcome else (),
        )
    except msgspec.MsgspecError as error:
        raise StorageFailed(
            f"Job {job.id} cannot be read.",
            f"Another version of Hearth wrote it: {error}.",
            "Submit it anew.",
        ) from None


def json_of(text: str) -> Json:
    """What a submitter had kept."""
    return msgspec.json.decode(text)


def batch_of(row: Sequence[Any], counts: dict[str, int]) -> Batch:
    """The batch of a row of `BATCH`; `counts` by state."""
    id, kind, owner, created, expires, cancelled, total, extra, started, ended = row
    left = counts.get("queued", 0) + counts.get("processing", 0)
    return Batch(
        id=id,
        kind=kind,
        owner=owner,
        created=created,
        expires=expires,
        started=started,
        ended=None if left else ended or created,
        cancelled=cancelled,
        total=total,
        counts=counts,
        extra=json_of(extra),
    )


def file_of(row: Sequence[Any]) -> KeptFile:
    """The file of a row of `FILE`."""
    id, name, purpose, owner, size, created = row
    return KeptFile(id=id, name=name, purpose=purpose, owner=owner, size=size, created=created)


def joined(events: Sequence[StreamEvent]) -> tuple[StreamEvent, ...]:
    """The same answer in fewer events: neighbouring pieces of one choice and kind are one."""
    found: list[StreamEvent] = []
    run: list[Delta] = []

    def close() -> None:
        if run:
            last = run[-1]
            found.append(
                Delta(
                    seq=last.seq,
                    t_ns=last.t_ns,
                    choice=last.choice,
                    kind=last.kind,
                    text="".join(each.text for each in run),
                    tokens=sum(each.tokens for each in run),
                    token_ids=tuple(token for each in run for token in each.token_ids),
                    logprobs=tuple(score for each in run for score in each.logprobs),
                )
            )
            run.clear()

    for event in events:
        if isinstance(event, Delta):
            if run and (run[-1].choice, run[-1].kind) != (event.choice, event.kind):
                close()
            run.append(event)
            continue
        close()
        before = found[-1] if found else None
        if (
            isinstance(event, ToolDelta)
            and isinstance(before, ToolDelta)
            and (before.choice, before.index) == (event.choice, event.index)
        ):
            found[-1] = msgspec.structs.replace(
                before,
                id=before.id or event.id,
                name=before.name or event.name,
                arguments=before.arguments + event.arguments,
            )
        else:
            found.append(event)
    close()
    return tuple(found)
