"""The only request: what to read, how to answer, and how the model is to be held for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from engine.types.messages import DocumentPart, ImagePart, Json, Message

Class = Literal["interactive", "api", "batch"]
Overflow = Literal["drop_oldest", "refuse", "shift"]
BackendName = Literal["auto", "llama", "mlx", "transformers", "scripted"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
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
    dry_sequence_breakers: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=32)] = (
        "\n",
        ":",
        '"',
        "*",
    )
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


ConstraintKind = Literal["text", "json", "schema", "regex", "grammar", "choice"]


class Constraint(Struct, frozen=True, kw_only=True):
    """What the output must look like; one language for all backends.

    `kind` text: anything, also where an alias asks for JSON (no model ever sees this one);
    json: any JSON value, object at the top; schema: `value` is a JSON Schema; regex, grammar (GBNF) and
    choice (list of strings) as their names say.
    """

    kind: ConstraintKind
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


class Thinking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`enabled` None leaves it to the model's template; `budget` is in tokens."""

    enabled: bool | None = None
    effort: Effort | None = None
    budget: Count | None = None
    visible: bool = True


class Logprobs(Struct, frozen=True, kw_only=True):
    top: Annotated[int, Meta(ge=0, le=100)] = 0
    prompt: bool = False


class AdapterRef(Struct, frozen=True, forbid_unknown_fields=True):
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


class LoadOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be decided when a model is loaded; a request that differs from the loaded model reloads it."""

    context: Annotated[int, Meta(ge=8)] | None = None
    """Context window of one sequence, tokens. None: that of the loaded model; at a load settings, then its own."""
    slots: Annotated[int, Meta(ge=1, le=256)] | None = None
    """How many sequences run at once."""
    batch: Annotated[int, Meta(ge=1)] | None = None
    """Largest prefill chunk, tokens."""
    device: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    """The device that computes it: auto, cpu, gpu, cuda:1, mps, metal, or a library's own name; or several, with commas
    between. Under transformers cpu and disk, behind GPUs, hold layers that the first GPU computes. None: settings,
    then all GPUs, under transformers as few of them as have room."""
    split: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    """What each device takes of the layers: shares (`3,1`), or under transformers the most memory (`10GB,24GB`). None:
    by what each has free."""
    gpu_layers: int | None = None
    """How many layers are on GPUs; the others are on the CPU, under transformers held there and copied to the GPU when
    they are computed. None or below zero: all."""
    threads: Annotated[int, Meta(ge=1, le=512)] | None = None
    batch_threads: Annotated[int, Meta(ge=1, le=512)] | None = None
    kv_type: Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"] | None = None
    flash_attention: bool | None = None
    use_mmap: bool | None = None
    dtype: str | None = None
    load_in_8bit: bool = False
    load_in_4bit: bool = False
    cells: Annotated[int, Meta(ge=8)] | None = None
    """Tokens that the KV cache holds over all slots. None: a whole window for each slot."""
    whole_window: bool | None = None
    """Keep the KV of sliding-window layers for the whole window, so that it can be cut back anywhere (more memory)."""
    draft_model: str | None = None
    """A small model of the same vocabulary, by name or path, that guesses what this one says next."""
    draft_tokens: Count | None = None
    """Most tokens guessed ahead in one step, from the text so far and by the draft model. 0 is off."""


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
    image_max_side: Annotated[int, Meta(ge=64, le=8192)] | None = None
    """Pixels that the longest side of an image is brought down to; None, or more than the settings allow: theirs."""
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
    stop: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(max_length=64)] = ()
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
    overflow: Overflow | None = None
    """What happens to a text longer than the window; None: settings."""
    keep_tokens: Count = 4
    """Tokens at the head that a shift never drops."""
    load: LoadOptions = field(default_factory=LoadOptions)
    backend: BackendName = "auto"
    keep_alive: Annotated[float, Meta(le=1e9)] | None = None
    """Seconds the model stays after the request ends; negative for ever, 0 unloads. None: as the last one that said
    something since it was loaded, else settings."""
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
