"""Every setting: its section, type, bounds, default and one sentence about it.

The settings screen, `hearth config` and the docs show these descriptions. In `Meta.extra`, `duration` marks
seconds that may be written as `5m`, `size` bytes that may be written as `8GB`, `path` a path (`~` and relative
paths are resolved), and `own` a key that a `hearth.toml` in the current folder may not set, because that folder may
be somebody else's. `others` marks the setting that takes the keys of its section which are none of the others.
`lines` marks text of several lines, `secret` a value that is never shown. `applies` says from
when on a running workstation goes by a changed value (`Applies`); without a mark that is the next start.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from engine.settings.marks import ANSWER, DURATION, LINES, LOAD, NOW, OTHERS, OWN, PATH, SIZE
from engine.settings.runtime import Runtime
from engine.settings.sampling import SamplingSettings


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP server."""

    host: Annotated[
        str, Meta(min_length=1, description="Address to listen on; beyond loopback needs a key.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="Port of the HTTP server.")] = 11434
    auth: Annotated[
        Literal["auto", "required"],
        Meta(
            description="auto: programs on this machine need no key to generate; required: all need one.",
            extra=OWN,
        ),
    ] = "auto"
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Host names, beside the loopback ones, that requests may be addressed to.",
            extra=OWN | NOW,
        ),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(description="Web origins (scheme, host, port) that may call from a browser.", extra=OWN | NOW),
    ] = ()
    max_body: Annotated[
        int,
        Meta(
            ge=1024, le=2**31, description="Most bytes of a request, such as 32MB; images count.", extra=SIZE
        ),
    ] = 32 * 2**20
    max_upload: Annotated[
        int,
        Meta(
            ge=0,
            le=2**43,
            description="Most bytes of a model file that a client may send, such as 64GB; 0: none may.",
            extra=SIZE,
        ),
    ] = 128 * 2**30
    with_workstation: Annotated[
        bool, Meta(description="Switch the server on when the workstation opens.", extra=OWN)
    ] = False
    log_prompts: Annotated[
        bool,
        Meta(
            description="Show in the request log what was asked; it is kept in memory alone.", extra=OWN | NOW
        ),
    ] = False
    drain_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="How long running answers may go on when the server stops.",
            extra=DURATION,
        ),
    ] = 8.0


class Models(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which models there are, and the one that answers by default."""

    default: Annotated[str, Meta(min_length=1, description="The model that answers when none is named.")] = (
        "ember"
    )
    folders: Annotated[
        tuple[str, ...],
        Meta(
            description="Folders searched for GGUF files and model folders, subfolders included.", extra=PATH
        ),
    ] = ()
    ollama: Annotated[
        bool, Meta(description="Whether the models in Ollama's store are read where they lie.")
    ] = True
    ollama_folders: Annotated[
        tuple[str, ...],
        Meta(description="Further stores of Ollama: folders with manifests and blobs.", extra=PATH),
    ] = ()
    lm_studio: Annotated[
        bool, Meta(description="Whether the models in LM Studio's folder are read where they lie.")
    ] = True
    lm_studio_folders: Annotated[
        tuple[str, ...],
        Meta(description="Further folders of LM Studio's form: publisher/repository/files.", extra=PATH),
    ] = ()
    adapter_path: Annotated[
        str | None,
        Meta(
            description="A LoRA adapter (GGUF file or PEFT folder), or a folder of them, for every model it fits.",
            extra=PATH,
        ),
    ] = None
    names: Annotated[
        dict[str, str],
        Meta(
            description="Any other key of this section is a name for a model: a path, or org/name at the hub.",
            extra=OTHERS,
        ),
    ] = field(default_factory=dict)


class Generation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults of every generation, below the model's own and the request's."""

    max_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Most tokens of an answer; not set: as many as the context window has room for.",
            extra=ANSWER,
        ),
    ] = None
    answer_reserve: Annotated[
        int,
        Meta(
            ge=0,
            description="Tokens of the context window kept free for the answer (at most half the window).",
            extra=LOAD,
        ),
    ] = 512
    overflow: Annotated[
        Literal["drop_oldest", "refuse", "shift"],
        Meta(description="What happens to a conversation longer than the window.", extra=ANSWER),
    ] = "drop_oldest"
    system: Annotated[
        str | None,
        Meta(description="System prompt of chats that bring none of their own.", extra=ANSWER | LINES),
    ] = None
    sampling: SamplingSettings = field(default_factory=SamplingSettings)

    @property
    def sampling_overrides(self) -> dict[str, Any]:
        """The sampling values that were said, as a layer for `engine.sampling.resolve`."""
        said = {name: getattr(self.sampling, name) for name in self.sampling.__struct_fields__}
        return {name: value for name, value in said.items() if value is not None}


class Media(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Images that models are shown."""

    max_side: Annotated[
        int,
        Meta(
            ge=64,
            le=8192,
            description="Most pixels of an image's longest side; a larger one is made smaller, none is enlarged. A "
            "request may ask for fewer.",
            extra=ANSWER,
        ),
    ] = 1440
    max_images: Annotated[
        int, Meta(ge=1, le=64, description="Images of one request, all of its messages together.")
    ] = 8
    max_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            le=25 * 1024 * 1024,
            description="Size of one image file, such as 10MB; 25MB is the most.",
            extra=SIZE,
        ),
    ] = 25 * 1024 * 1024
    allow_urls: Annotated[
        bool,
        Meta(
            description="Fetch images that a request names by an http(s) address. Addresses of this machine and "
            "its networks are refused all the same.",
            extra=OWN,
        ),
    ] = False
    url_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Hosts that images may be fetched from; empty: every public one.", extra=OWN),
    ] = ()
    url_ports: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=65535)], ...],
        Meta(description="Ports that images may be fetched from.", extra=OWN),
    ] = (80, 443)
    url_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=300,
            description="How long fetching one image may take, redirects included.",
            extra=DURATION,
        ),
    ] = 10.0


class Hub(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where models come from, and whose code may run."""

    endpoint: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[^\s]+$")] | None,
        Meta(
            description="Address of the model hub or a mirror of it; not set: HF_ENDPOINT, else the Hugging Face "
            "Hub.",
            extra=OWN,
        ),
    ] = None
    download_hosts: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$")], ...],
        Meta(
            description="Hosts that a mirror of the hub keeps its files on; it may send downloads there.",
            extra=OWN,
        ),
    ] = ()
    connections: Annotated[
        int, Meta(ge=1, le=8, description="Connections that a pull opens at once, for 1 MiB each at a time.")
    ] = 8
    offline: Annotated[
        bool, Meta(description="Never reach for the hub; what is on this machine still works.")
    ] = False
    trust_remote_code: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*@[0-9a-f]{40}$")], ...],
        Meta(
            description="Repositories whose Python code may run, at one commit: org/name@<40 hex digits>.",
            extra=OWN,
        ),
    ] = ()


class Ui(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The full-screen terminal app."""

    theme: Annotated[str, Meta(min_length=1, description="Name of a theme file.", extra=NOW)] = "hearth-dark"
    animation: Annotated[
        Literal["full", "basic", "none"], Meta(description="How much the screen may move.", extra=NOW)
    ] = "full"
    follow: Annotated[bool, Meta(description="Scroll along while an answer streams.", extra=NOW)] = True
    rail: Annotated[bool, Meta(description="Show the rail of workspaces.", extra=NOW)] = True
    footer: Annotated[bool, Meta(description="Show the keys at the bottom.", extra=NOW)] = True
    inspector: Annotated[bool, Meta(description="Open the chat's inspector at start.")] = False
    restore: Annotated[
        bool, Meta(description="Begin with the conversation that was open last, as it was left.")
    ] = True
    titles: Annotated[
        bool,
        Meta(
            description="Let the model write a conversation's title after its first answer, while nobody waits for it.",
            extra=NOW,
        ),
    ] = True
    images: Annotated[
        Literal["auto", "blocks", "placeholder"],
        Meta(
            description="How pictures are shown: auto draws them with the terminal's own graphics where it has some, "
            "else in blocks of colour; blocks always so; placeholder is a frame with their name."
        ),
    ] = "auto"
    keymap: Annotated[
        str | None,
        Meta(description="File of key bindings; not set: keymap.toml beside the settings.", extra=PATH | NOW),
    ] = None


class Jobs(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The durable queue."""

    workers: Annotated[
        int, Meta(ge=0, le=64, description="Jobs that run at once; 0 holds them all.", extra=NOW)
    ] = 4
    attempts: Annotated[
        int,
        Meta(ge=1, le=100, description="Most attempts of a job whose errors may pass.", extra=NOW),
    ] = 3
    backoff: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="Wait before the second attempt, about; it doubles with each further one.",
            extra=DURATION | NOW,
        ),
    ] = 2.0
    timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=1e7,
            description="How long an attempt may take once the model has taken it in.",
            extra=DURATION | NOW,
        ),
    ] = 1800.0
    max_queued: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Most jobs that may wait; further ones are refused.", extra=NOW),
    ] = 100_000
    keep: Annotated[
        float,
        Meta(
            ge=0,
            le=1e9,
            description="How long jobs, batches and files are kept after their end; 0 for ever.",
            extra=DURATION | NOW,
        ),
    ] = 30 * 86400.0
    base_path: Annotated[
        str,
        Meta(
            pattern=r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$",
            description="Where the HTTP job routes begin.",
            extra=OWN,
        ),
    ] = "/chat/api"
    webhook_allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Origins (scheme, host, port) that may be told when a job has ended.", extra=OWN | NOW
        ),
    ] = ()


class Web(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The web page."""

    models: Annotated[
        tuple[str, ...],
        Meta(
            description="Models and aliases that the web page offers, with their adapters; empty: all that are "
            "installed.",
            extra=NOW,
        ),
    ] = ()


class Metrics(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of requests and of the machine."""

    keep: Annotated[
        float,
        Meta(
            ge=0,
            le=1e9,
            description="How long rows of requests, loads, jobs, evals and benches are kept; 0 for ever.",
            extra=DURATION | NOW,
        ),
    ] = 90 * 86400.0
    keep_samples: Annotated[
        float,
        Meta(
            ge=0,
            le=1e9,
            description="How long samples of the machine are kept; 0 for ever.",
            extra=DURATION | NOW,
        ),
    ] = 30 * 86400.0


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written down."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least serious lines that are kept."),
    ] = "info"
    redact: Annotated[bool, Meta(description="Blank out keys, tokens and cookies in log lines.")] = True


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set, one attribute a section."""

    server: Server = field(default_factory=Server)
    models: Models = field(default_factory=Models)
    generation: Generation = field(default_factory=Generation)
    runtime: Runtime = field(default_factory=Runtime)
    media: Media = field(default_factory=Media)
    hub: Hub = field(default_factory=Hub)
    ui: Ui = field(default_factory=Ui)
    jobs: Jobs = field(default_factory=Jobs)
    web: Web = field(default_factory=Web)
    metrics: Metrics = field(default_factory=Metrics)
    log: Log = field(default_factory=Log)
