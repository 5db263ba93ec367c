"""The only event stream, with the account that its last event gives."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from engine.errors import ErrorInfo
from engine.types.request import AdapterRef

FinishReason = Literal[
    "stop", "stop_string", "length", "context_full", "tool_calls", "content_filter", "cancelled"
]
DoneReason = Literal["finished", "cancelled", "loaded", "unloaded"]


class TokenLogprob(Struct, frozen=True):
    """A token with its log-probability (natural log, before sampling truncation) and the best alternatives."""

    token: int
    piece: bytes
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens counted. `cached_tokens` + computed = `prompt_tokens`; completion includes reasoning."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    image_tokens: int = 0
    draft_accepted: int = 0
    draft_rejected: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Timings(Struct, frozen=True, kw_only=True):
    """Moments of one request (ns, monotonic; 0 where it never happened); one definition for all reports."""

    submitted: int = 0
    admitted: int = 0
    first_prefill: int = 0
    first_token: int = 0
    last_token: int = 0
    ended: int = 0
    load: int = 0
    """Length of the model load that this request waited for, ns."""

    @property
    def queue_s(self) -> float:
        return max(0, self.admitted - self.submitted - self.load) / 1e9 if self.admitted else 0.0

    @property
    def load_s(self) -> float:
        return self.load / 1e9

    @property
    def prefill_s(self) -> float:
        return (self.first_token - self.first_prefill) / 1e9 if self.first_token else 0.0

    @property
    def decode_s(self) -> float:
        return (self.last_token - self.first_token) / 1e9 if self.first_token else 0.0

    @property
    def ttft_s(self) -> float:
        """Time to first token: queue and load included."""
        return (self.first_token - self.submitted) / 1e9 if self.first_token else 0.0

    @property
    def total_s(self) -> float:
        return (self.ended - self.submitted) / 1e9 if self.ended else 0.0

    def decode_rate(self, completion_tokens: int) -> float | None:
        """Tokens per second after the first; None below two tokens."""
        if completion_tokens < 2 or self.decode_s <= 0:
            return None
        return (completion_tokens - 1) / self.decode_s

    def prefill_rate(self, computed_tokens: int) -> float | None:
        """Prompt tokens per second over those really computed; None without a prefill."""
        if computed_tokens < 1 or self.prefill_s <= 0:
            return None
        return computed_tokens / self.prefill_s


class Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    """`seq` counts 0, 1, 2 … within a request; `t_ns` is when the engine made it."""

    seq: int = 0
    t_ns: int = 0


class Queued(Event, frozen=True, kw_only=True, tag="queued"):
    position: int
    eta_s: float | None = None


class Loading(Event, frozen=True, kw_only=True, tag="loading"):
    stage: str
    fraction: float | None = None


class CacheMiss(Struct, frozen=True, kw_only=True):
    """Why a prompt was not read from the prefix cache to its end, and at which of its tokens that began.

    `model`: this process of the model has computed nothing yet; `new`: nothing like it was computed before;
    `adapter`, `tools`, `text`, `caller`: a known prompt goes on otherwise there, because of that; `state`: it is
    known further, and this model's state cannot be cut back to it; `off`: the request asked for no cache.
    """

    cause: Literal["model", "new", "adapter", "tools", "text", "caller", "state", "off"]
    token: int = 0


class Admitted(Event, frozen=True, kw_only=True, tag="admitted"):
    prompt_tokens: int
    cached_tokens: int = 0
    miss: CacheMiss | None = None
    """None where the cache gave all it could: the last token is always computed."""
    dropped_messages: int = 0
    dropped_tokens: int = 0
    prompt_logprobs: tuple[TokenLogprob | None, ...] | None = None
    context: int = 0
    """The window that this request runs in, tokens."""


class Prefill(Event, frozen=True, kw_only=True, tag="prefill"):
    """How much of the prompt has been read, tokens from the cache included."""

    done: int
    total: int


class Delta(Event, frozen=True, kw_only=True, tag="delta"):
    """New text of a choice. May carry several tokens, or none when text was held back and is now free."""

    choice: int = 0
    kind: Literal["content", "reasoning"] = "content"
    text: str
    tokens: int = 0
    """How many tokens were sampled for this delta."""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


class ToolDelta(Event, frozen=True, kw_only=True, tag="tool_delta"):
    """A piece of a tool call: `id` and `name` come once, `arguments` pieces join to one JSON text."""

    choice: int = 0
    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class Shifted(Event, frozen=True, kw_only=True, tag="shifted"):
    """The window was full, so `dropped` tokens behind the kept head were forgotten; the choice goes on without them."""

    choice: int = 0
    dropped: int


class Finished(Event, frozen=True, kw_only=True, tag="finished"):
    choice: int = 0
    reason: FinishReason
    stop_string: str | None = None


class Done(Event, frozen=True, kw_only=True, tag="done"):
    """The good terminal event, also after a cancel."""

    reason: DoneReason
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    seed: int | None = None
    model: str = ""
    adapters: tuple[AdapterRef, ...] = ()
    backend: str = ""


class Failed(Event, frozen=True, kw_only=True, tag="failed"):
    """The bad terminal event; what was generated before it stands."""

    error: ErrorInfo
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)


StreamEvent = Queued | Loading | Admitted | Prefill | Delta | ToolDelta | Shifted | Finished | Done | Failed
Terminal = Done | Failed
