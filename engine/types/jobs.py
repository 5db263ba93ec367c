"""Jobs: requests that are kept until they are answered, and what is known of them.

Times are Unix seconds. A job's `id` rises with the order in which jobs were submitted, and is never used again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.errors import ErrorInfo
from engine.types.embedding import Embeddings, EmbedRequest
from engine.types.events import StreamEvent
from engine.types.messages import Json
from engine.types.request import GenerationRequest

JobState = Literal["queued", "processing", "done", "error", "cancelled"]
WebhookState = Literal["pending", "delivered", "failed"]
JOB_STATES: tuple[JobState, ...] = ("queued", "processing", "done", "error", "cancelled")


class JobRequest(Struct, frozen=True, kw_only=True):
    """What is to be done: exactly one of `request` and `embed`. Whatever a job says of client, source, class and id of
    its request is replaced."""

    request: GenerationRequest | None = None
    """With `conversation` it holds the new messages alone: the history is put before them when the job's turn comes."""
    embed: EmbedRequest | None = None
    conversation: str | int = ""
    """The id or number of a conversation whose history is read and which the answer joins; an id that is not there
    begins one. Jobs of one conversation run one after the other."""
    owner: str = ""
    """Who may see it, beside those who may see everything; empty: this user alone."""
    client: str = ""
    """Who asks, for fairness and figures."""
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    """Higher ones first; among equals the oldest."""
    attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Most attempts, where they fail in a way that may pass. None: settings."""
    timeout: Annotated[float, Meta(gt=0, le=1e7)] | None = None
    """Seconds that an attempt may take from when the model has taken it in. None: settings."""
    expires: float | None = None
    """The moment after which it is not begun any more, and broken off."""
    idempotency_key: Annotated[str, Meta(max_length=255)] = ""
    """A second job of this owner with the same key is the first one."""
    webhook: str | None = None
    """Where it is told that the job has ended; its origin must be among `jobs.webhook_allow`."""
    name: str = ""
    """A second id, which nobody else has."""
    custom_id: str = ""
    """What its submitter calls it, within a batch."""
    every_event: bool = False
    """Keep the answer's events as they came, not joined together."""
    extra: Json = None
    """The submitter's own, kept as it is."""


class Job(Struct, frozen=True, kw_only=True):
    """A job as it is now. `attempt` counts the beginnings, those that a crash broke off too."""

    id: int
    state: JobState
    model: str = ""
    prompt: str = ""
    """The text of what was asked."""
    system: str | None = None
    kind: Literal["generate", "embed"] = "generate"
    conversation: int | None = None
    """The number of its conversation."""
    conversation_id: str = ""
    """The id of its conversation."""
    owner: str = ""
    client: str = ""
    priority: int = 0
    attempt: int = 0
    failures: int = 0
    """Attempts that ended in an error."""
    attempts: int = 1
    """Most of those."""
    timeout: float = 0.0
    created: float = 0.0
    due: float = 0.0
    """When a next attempt may begin; in the past: now."""
    started: float | None = None
    """When the last attempt began."""
    ended: float | None = None
    expires: float | None = None
    result: str | None = None
    """The answer's text, once it is done."""
    error: ErrorInfo | None = None
    """Of the last attempt that failed, also while another is to come."""
    batch: str = ""
    custom_id: str = ""
    name: str = ""
    webhook: str | None = None
    webhook_state: WebhookState | None = None
    webhook_error: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will become of it by itself."""
        return self.state in ("done", "error", "cancelled")

    def told(self) -> dict[str, Json]:
        """What tools such as n8n are told of it, over REST and by webhooks alike; times as ISO 8601 in UTC."""
        return {
            "id": self.id,
            "conversation_id": self.conversation,
            "user_input": self.prompt,
            "model": self.model,
            "system_prompt": self.system,
            "status": self.state,
            "result": self.result,
            "error": self.error.sentence() if self.error is not None else None,
            "attempt": self.attempt,
            "created_at": _moment(self.created),
            "processed_at": _moment(self.ended),
        }


class JobOutcome(Struct, frozen=True, kw_only=True):
    """What was asked and what came of it, in full. `events` are those of the attempt that gave the answer, or of the
    last one that failed; joined together unless the job asked for every one."""

    job: Job
    request: GenerationRequest | None = None
    embed: EmbedRequest | None = None
    extra: Json = None
    events: tuple[StreamEvent, ...] = ()
    embeddings: Embeddings | None = None


class JobUpdate(Struct, frozen=True, kw_only=True):
    """Something that became of a job: an event of its answer, or its new state. The state that is over comes last."""

    job: Job
    event: StreamEvent | None = None
    place: int = -1
    """Which event of the attempt it is, from 0 on."""


class JobQuery(Struct, frozen=True, kw_only=True):
    """Which jobs: all conditions hold. The newest come first."""

    owner: str | None = None
    """None: of everybody."""
    states: tuple[JobState, ...] = ()
    """Empty: all."""
    conversation: str | int | None = None
    batch: str | None = None
    """Empty text: those in no batch."""
    text: str = ""
    """Words that must be in question, answer, model, client or error."""
    before: int | None = None
    """Only those with smaller ids."""
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 50


class JobPage(Struct, frozen=True, kw_only=True):
    """Jobs, and how many there are in each state under the other conditions. `more`: there are older ones behind."""

    jobs: tuple[Job, ...] = ()
    counts: dict[str, int] = {}
    more: bool = False


class BatchRequest(Struct, frozen=True, kw_only=True):
    """Jobs that were submitted together. `kind` is the protocol in which that was."""

    id: str
    kind: str
    owner: str = ""
    expires: float | None = None
    extra: Json = None


class Batch(Struct, frozen=True, kw_only=True):
    """A batch as it is now."""

    id: str
    kind: str
    owner: str = ""
    created: float = 0.0
    expires: float | None = None
    started: float | None = None
    """When its first job was begun."""
    ended: float | None = None
    """When its last job ended; None while one is left."""
    cancelled: float | None = None
    """When somebody asked for its end."""
    total: int = 0
    counts: dict[str, int] = {}
    """Jobs by state; those that ran out of time count as `expired`."""
    extra: Json = None


class KeptFile(Struct, frozen=True, kw_only=True):
    """A file that a client gave or may fetch; its bytes are read apart."""

    id: str
    name: str
    purpose: str
    owner: str = ""
    size: int = 0
    created: float = 0.0


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
