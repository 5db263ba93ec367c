"""Jobs as plain text: the cells of a row, and the parts of what is told of one beside the list."""

from __future__ import annotations

from engine.text_safety import clean, plain
from engine.types import Job, JobState
from tui import units

MARKS: dict[JobState, str] = {"queued": "·", "processing": "▸", "done": "✓", "error": "✗", "cancelled": "−"}
"""One cell each, and told apart without colour."""
COLOURS: dict[JobState, str] = {
    "queued": "$muted", "processing": "$primary", "done": "$success", "error": "$error", "cancelled": "$muted",
}  # fmt: skip
STATE_WIDTH = 12


def cells(job: Job, now: float) -> dict[str, str]:
    """What the columns say of a job at `now`, Unix seconds."""
    return {
        "id": str(job.id),
        "state": f"{MARKS[job.state]} {job.state}",
        "question": plain(" ".join(job.prompt.split()), 400) or "–",
        "model": plain(job.model, 60),
        "try": f"{job.attempt}/{job.attempts}"
        if job.attempt > 1
        else str(job.attempt)
        if job.attempt
        else "–",
        "age": age(now - job.created),
    }


def age(seconds: float) -> str:
    """How long ago: `now`, `12 s`, `3 min`, `5 h`, `2 d`."""
    if seconds < 1:
        return "now"
    for limit, unit, length in ((60, "s", 1), (3600, "min", 60), (48 * 3600, "h", 3600)):
        if seconds < limit:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds // 86400)} d"


def summary(job: Job, now: float) -> str:
    """The state of a job in a sentence or two."""
    match job.state:
        case "queued" if job.failures and job.due > now:
            return f"Tried {job.failures}×; again in {units.wait(job.due - now)}."
        case "queued" if job.attempt:
            return "Begun before, and waiting to be begun anew."
        case "queued":
            return "Waiting for its turn."
        case "processing":
            return f"Running for {units.seconds(max(0.0, now - (job.started or now)))}."
        case "done":
            took = (job.ended or 0.0) - (job.started or 0.0)
            waited = (job.started or 0.0) - job.created
            return (
                f"Done in {units.seconds(max(0.0, took))}, after waiting {units.seconds(max(0.0, waited))}."
            )
        case "error":
            return f"Failed {age(now - (job.ended or now))} ago."
        case _:
            return f"Cancelled {age(now - (job.ended or now))} ago."


def facts(job: Job) -> list[tuple[str, str]]:
    """What else is known of it: name and value, only what is said."""
    found = [("model", plain(job.model, 80)), ("client", plain(job.client, 60) or "this user")]
    if job.priority:
        found.append(("priority", f"{job.priority:+}"))
    if job.attempt:
        found.append(("attempt", f"{job.attempt} of at most {job.attempts}"))
    if job.conversation_id:
        found.append(("talk", job.conversation_id))
    if job.batch:
        found.append(("batch", plain(job.batch, 60)))
    if job.custom_id:
        found.append(("its id", plain(job.custom_id, 60)))
    if job.webhook:
        state = f"{job.webhook_state}" if job.webhook_state else "when it ends"
        found.append(("webhook", f"{plain(job.webhook, 80)} ({state})"))
    if job.webhook_error:
        found.append(("", plain(job.webhook_error, 120)))
    return found


def outcome(job: Job) -> str:
    """The answer, or what went wrong, to be copied."""
    if job.result is not None:
        return clean(job.result)
    return clean(job.error.sentence()) if job.error is not None else ""
