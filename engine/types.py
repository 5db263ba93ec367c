"""The one vocabulary: the only request, the only event stream, and what both are made of.

Every dialect, pane, job and eval encodes to or decodes from these Structs at its edge. Nothing here computes;
a value that is absent means "not said", so that aliases, model recommendations and defaults can fill it in.
Times are nanoseconds of the monotonic clock (shared by all processes of a machine), sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from engine.errors import ErrorInfo

Json = Any
Class = Literal["interactive", "api", "batch"]
Role = Literal["system", "user", "assistant", "tool"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

# --- messages -------------------------------------------------------------------------------------------------


class TextPart(Struct, frozen=True, tag="text"):
    text: str


class ImagePart(Struct, frozen=True, tag="image", kw_only=True):
    """One image: exactly one of `data` (file bytes), `path` (local file, terminal only) and `url`."""

    data: bytes | None = None
    path: str | None = None
    url: str | None = None
    media_type: str | None = None
    detail: Literal["auto", "low", "high"] = "auto"


class AudioPart(Struct, frozen=True, tag="audio"):
    data: bytes
    format: str


class DocumentPart(Struct, frozen=True, tag="document", kw_only=True):
    """A text document that travels as such (Anthropic `document`, OpenAI `file`)."""

    text: str
    title: str | None = None


Part = TextPart | ImagePart | AudioPart | DocumentPart


class ToolCall(Struct, frozen=True, kw_only=True):
    """A call the model made. `arguments` is the JSON text, exactly as generated."""

    id: str
    name: str
    arguments: str


class Message(Struct, frozen=True, kw_only=True):
    role: Role
    content: str | tuple[Part, ...] = ""
    name: str | None = None
    reasoning: str | None = None
    reasoning_signature: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    tool_error: bool = False

    @property
    def text(self) -> str:
        """The text parts joined; media left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart | DocumentPart))


# --- what a request may ask for -------------------------------------------------------------------------------

Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Penalty = Annotated[float, Meta(ge=-2.0, le=2.0)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e9)]


class Sampling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every sampling value, with the house defaults (Ollama's; repeat penalty off).

    A request, an alias or a model's recommendation says only some of them, as `SamplingOverrides`;
    `engine.sampling.resolve` lays the layers over these defaults and checks the bounds given here.
    """

    temperature: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.8
    dynatemp_range: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.0
    dynatemp_exponent: Annotated[float, Meta(ge=0.0, le=10.0)] = 1.0
    top_k: Count = 40
    top_p: Fraction = 0.9
    min_p: Fraction = 0.0
    typical_p: Fraction = 1.0
    top_n_sigma: Annotated[float, Meta(ge=-1.0, le=100.0)] = -1.0
    min_keep: Count = 1
    repetition_penalty: Annotated[float, Meta(ge=0.1, le=10.0)] = 1.0
    repeat_last_n: Annotated[int, Meta(ge=-1)] = 64
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    dry_multiplier: Annotated[float, Meta(ge=0.0, le=100.0)] = 0.0
    dry_base: Annotated[float, Meta(ge=1.0, le=8.0)] = 1.75
    dry_allowed_length: Annotated[int, Meta(ge=1)] = 2
    dry_penalty_last_n: Annotated[int, Meta(ge=-1)] = -1
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    xtc_probability: Fraction = 0.0
    xtc_threshold: Fraction = 0.1
    mirostat: Literal[0, 1, 2] = 0
    mirostat_tau: Annotated[float, Meta(ge=0.0, le=20.0)] = 5.0
    mirostat_eta: Fraction = 0.1
    seed: Annotated[int, Meta(ge=-1, le=2**63 - 1)] = -1
    """-1 draws a fresh seed for each request; the one used is reported in `Done.seed`."""
    logit_bias: dict[int, Annotated[float, Meta(ge=-100.0, le=100.0)]] = field(default_factory=dict)
    banned_tokens: tuple[int, ...] = ()
    ignore_eos: bool = False
    samplers: tuple[str, ...] = ()
    """Order of the truncation samplers by name; empty is the backend's usual order."""


SamplingOverrides = Mapping[str, Any]


class Constraint(Struct, frozen=True, kw_only=True):
    """What the output must look like; one language for all backends.

    `kind` json: any JSON value, object at the top; schema: `value` is a JSON Schema; regex, grammar (GBNF) and
    choice (list of strings) as their names say.
    """

    kind: Literal["json", "schema", "regex", "grammar", "choice"]
    value: Json = None
    strict: bool = True
    name: str | None = None


class Tool(Struct, frozen=True, kw_only=True):
    name: str
    description: str = ""
    parameters: Json = None
    strict: bool = False


class ToolChoice(Struct, frozen=True, kw_only=True):
    mode: Literal["none", "auto", "required", "named"] = "auto"
    names: tuple[str, ...] = ()
    parallel: bool = True


class Thinking(Struct, frozen=True, kw_only=True):
    """`enabled` None leaves it to the model's template; `budget` is in tokens."""

    enabled: bool | None = None
    effort: Effort | None = None
    budget: Count | None = None
    visible: bool = True


class Logprobs(Struct, frozen=True, kw_only=True):
    top: Annotated[int, Meta(ge=0, le=100)] = 0
    prompt: bool = False


class AdapterRef(Struct, frozen=True):
    """A LoRA adapter by name (or path, from the terminal) and its scale."""

    name: str
    scale: Annotated[float, Meta(ge=-100.0, le=100.0)] = 1.0


class Deadlines(Struct, frozen=True, kw_only=True):
    """Limits in seconds, counted from submit (`stall`: from the last token). None is no limit."""

    queue: Seconds | None = None
    ttft: Seconds | None = None
    total: Seconds | None = None
    stall: Seconds | None = None


class CachePolicy(Struct, frozen=True, kw_only=True):
    """Use of the prefix cache. `salt` keeps one caller's prefixes from another's."""

    read: bool = True
    write: bool = True
    salt: str = ""
    slot: int | None = None


class LoadOptions(Struct, frozen=True, kw_only=True):
    """What must be decided when a model is loaded; a request that differs from the loaded model reloads it."""

    context: Annotated[int, Meta(ge=8)] | None = None
    """Context window of one sequence, tokens. None: that of the loaded model; at a load settings, then its own."""
    slots: Annotated[int, Meta(ge=1, le=256)] | None = None
    """How many sequences run at once."""
    batch: Annotated[int, Meta(ge=1)] | None = None
    """Largest prefill chunk, tokens."""
    gpu_layers: int | None = None
    threads: Annotated[int, Meta(ge=1, le=512)] | None = None
    batch_threads: Annotated[int, Meta(ge=1, le=512)] | None = None
    kv_type: Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"] | None = None
    flash_attention: bool | None = None
    use_mmap: bool | None = None
    dtype: str | None = None
    load_in_8bit: bool = False
    load_in_4bit: bool = False
    draft_model: str | None = None
    draft_tokens: Count | None = None


class GenerationRequest(Struct, frozen=True, kw_only=True):
    """One generation. Exactly one of `messages`, `prompt` and `tokens` says what to read.

    `prompt` is text as it stands when `raw`, else it is one user turn for the model's template.
    `suffix` asks for fill-in-the-middle between `prompt` and it.
    """

    model: str
    """A model, an alias, or `model:adapter`."""
    id: str = ""
    """Empty: the engine gives one."""
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    tokens: tuple[int, ...] | None = None
    raw: bool = False
    suffix: str | None = None
    extra_context: tuple[DocumentPart, ...] = ()
    """Neighbouring files for fill-in-the-middle."""
    images: tuple[ImagePart, ...] = ()
    """Media of a `prompt` (messages carry their own)."""
    system: str | None = None
    """Put before the messages, or in place of an alias's system prompt."""
    template: str | None = None
    """A prompt template in place of the model's (Jinja); needs the right to send one."""
    template_args: Mapping[str, Json] = field(default_factory=dict)
    continue_last: bool = False
    """Go on writing the last assistant message instead of opening a new turn."""
    sampling: SamplingOverrides = field(default_factory=dict)
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    """Most tokens per choice; None fills the window; 0 reads the prompt only."""
    stop: tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...] = ()
    stop_tokens: tuple[int, ...] = ()
    n: Annotated[int, Meta(ge=1, le=128)] = 1
    best_of: int | None = None
    echo: bool = False
    logprobs: Logprobs | None = None
    constraint: Constraint | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    thinking: Thinking = field(default_factory=Thinking)
    adapters: tuple[AdapterRef, ...] | None = None
    """None: the model's default adapter; empty: none at all."""
    overflow: Literal["drop_oldest", "refuse", "shift"] | None = None
    """What happens to a text longer than the window; None: settings."""
    keep_tokens: Count = 4
    """Tokens at the head that a shift never drops."""
    load: LoadOptions = field(default_factory=LoadOptions)
    backend: Literal["auto", "llama", "mlx", "transformers", "scripted"] = "auto"
    keep_alive: Annotated[float, Meta(le=1e9)] | None = None
    """Seconds the model stays after the request ends; negative for ever, 0 unloads, None: settings."""
    client: str = ""
    """Who asks: fairness and metrics are counted by it."""
    source: str = ""
    """Through which door: tui, cli, ollama, openai, anthropic, job, eval."""
    priority: Class = "api"
    deadlines: Deadlines = field(default_factory=Deadlines)
    cache: CachePolicy = field(default_factory=CachePolicy)
    return_tokens: bool = False
    timings_per_token: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


# --- the event stream -----------------------------------------------------------------------------------------

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


class Admitted(Event, frozen=True, kw_only=True, tag="admitted"):
    prompt_tokens: int
    cached_tokens: int = 0
    miss: str | None = None
    """Why the prefix cache gave less than it might have, and at which token."""
    dropped_messages: int = 0
    dropped_tokens: int = 0
    prompt_logprobs: tuple[TokenLogprob | None, ...] | None = None
    context: int = 0
    """The window that this request runs in, tokens."""


class Prefill(Event, frozen=True, kw_only=True, tag="prefill"):
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


StreamEvent = Queued | Loading | Admitted | Prefill | Delta | ToolDelta | Finished | Done | Failed
Terminal = Done | Failed


# --- what the engine says of models and of itself -------------------------------------------------------------


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a loaded model on its backend really can do; a request beyond it is refused by name."""

    backend: str
    sampling: frozenset[str] = frozenset()
    """Names of the `Sampling` fields that are honoured."""
    constraints: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset({"text"})
    logprobs: bool = False
    prompt_logprobs: bool = False
    seed: bool = True
    adapters: bool = False
    fork: bool = False
    """Whether sequences can share a computed prefix."""
    trim: bool = False
    """Whether a computed sequence can be cut back at any token."""
    save: bool = False
    embeddings: bool = False
    rerank: bool = False
    infill: bool = False
    cancel_in_prefill: bool = False
    max_slots: int = 1


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What a loaded model is, read from its file by its backend."""

    name: str
    architecture: str = ""
    parameters: int = 0
    quantisation: str = ""
    weight_bytes: int = 0
    context_trained: int = 0
    context: int = 0
    vocabulary: int = 0
    bos: int | None = None
    eos: tuple[int, ...] = ()
    """Every token that ends a turn."""
    chat_template: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """The model's own recommended sampling, as overrides."""
    capabilities: Capabilities


class MemoryUse(Struct, frozen=True, kw_only=True):
    """Bytes by the allocator's own figures, where the backend gives them."""

    weights: int = 0
    kv_cache: int = 0
    compute: int = 0
    resident: int = 0
    """Resident set of the worker process."""


class ModelEntry(Struct, frozen=True, kw_only=True):
    """A model that this machine could run, known from headers alone. `broken` says why it could not."""

    id: str
    path: str
    format: Literal["gguf", "safetensors", "mlx", "scripted"]
    source: str
    """Where it was found: starter, folder, huggingface, ollama, lmstudio, path."""
    size: int = 0
    architecture: str = ""
    parameters: int = 0
    quantisation: str = ""
    context: int = 0
    modalities: tuple[str, ...] = ("text",)
    licence: str = ""
    backends: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    broken: str | None = None


class LoadedModel(Struct, frozen=True, kw_only=True):
    """A resident model, or one on its way in or out."""

    id: str
    state: Literal["loading", "ready", "busy", "draining", "failed"]
    facts: ModelFacts | None = None
    memory: MemoryUse = field(default_factory=MemoryUse)
    pid: int | None = None
    active: int = 0
    queued: int = 0
    expires_ns: int | None = None
    """Monotonic moment of the planned unload; None: stays."""
    error: ErrorInfo | None = None


class RunningRequest(Struct, frozen=True, kw_only=True):
    id: str
    model: str
    client: str
    source: str
    priority: Class
    state: Literal["loading", "queued", "prefill", "decode"]
    position: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    submitted_ns: int = 0


class LogLine(Struct, frozen=True, kw_only=True):
    """One line for the log panes. `origin` is a room of Hearth or the name of a model's worker."""

    t_unix: float
    level: Literal["debug", "info", "warning", "error"]
    origin: str
    text: str
