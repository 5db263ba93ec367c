"""What the engine says of models, of memory and of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from engine.errors import ErrorInfo
from engine.types.request import Class

Verdict = Literal["fits", "tight", "too big", "unknown"]
"""`tight`: it fits, but somebody has to make way for it, or hardly anything is left."""
DeviceKind = Literal["cpu", "gpu", "igpu", "accelerator", "other"]


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
    load_options: Mapping[str, str] = field(default_factory=dict)
    """By the name of each load option: yes, no, or which of its values are honoured."""
    max_slots: int = 1


class Infill(Struct, frozen=True, kw_only=True):
    """The tokens that a model marks fill-in-the-middle with; one it does not have is None."""

    prefix: int
    suffix: int
    middle: int
    file: int | None = None
    """Begins another file of the same repository."""
    repository: int | None = None


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What a loaded model is, read from its file by its backend."""

    name: str
    architecture: str = ""
    parameters: int = 0
    quantisation: str = ""
    weight_bytes: int = 0
    device: str = ""
    """Where it is computed, with the name of the hardware: `CUDA0 (NVIDIA H100 80GB HBM3)`. Empty before a load."""
    context_trained: int = 0
    context: int = 0
    vocabulary: int = 0
    layers: int = 0
    width: int = 0
    """Numbers in the vector of one token between layers."""
    heads: int = 0
    kv_heads: int = 0
    tokenizer: str = ""
    """The kind of its tokenizer, as GGUF has it: llama, gpt2, bert, …; empty where nothing says."""
    bos: int | None = None
    eos: tuple[int, ...] = ()
    """Every token that ends a turn."""
    chat_template: str | None = None
    infill: Infill | None = None
    tool_format: str = ""
    """The family of tool calls that its template writes (`engine.prompt.tools`); empty: no tools."""
    thinking: Literal["", "always", "switch", "levels"] = ""
    """Whether it reasons before it answers, and whether that can be switched or graded by its template."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """The model's own recommended sampling, as overrides."""
    capabilities: Capabilities


class Device(Struct, frozen=True, kw_only=True):
    """A compute device that the backend can use, by the library's own name (CPU, CUDA0, …); memory in bytes."""

    name: str
    description: str = ""
    kind: DeviceKind = "cpu"
    free: int = 0
    total: int = 0
    backends: tuple[str, ...] = ()
    """The backends that can use it; empty: all."""


class DeviceNeed(Struct, frozen=True, kw_only=True):
    """Bytes that a model needs, or has, on one device. `device` is the library's own name for it: CPU, CUDA0, …"""

    device: str
    kind: DeviceKind = "cpu"
    weights: int = 0
    kv_cache: int = 0
    compute: int = 0
    """Compute and output buffers."""
    projector: int = 0
    free: int = 0
    """What the device has left now, without this model."""
    capacity: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.compute + self.projector


class Estimate(Struct, frozen=True, kw_only=True):
    """What loading a model would take, known before it is loaded."""

    model: str
    context: int
    slots: int
    cells: int
    """KV cells in all, tokens."""
    devices: tuple[DeviceNeed, ...] = ()
    resident: int = 0
    """Expected resident set of the worker process, bytes."""
    exact: bool = False
    """Whether the compute buffers come from a dry run of the library, not from a rule of thumb."""
    correction: float = 1.0
    """What earlier loads of this model needed, over what was predicted for them; already in the figures."""
    fits: bool = True
    verdict: Verdict = "fits"
    largest_context: int = 0
    """Longest window that fits with as many slots, once every idle model has made way; 0: none, or not known."""
    quantisation: str = ""
    """The best usual quantisation of the model that would fit in the same window, where this one does not."""
    leaving: tuple[str, ...] = ()
    """Models that would have to leave, or give up their KV cache, for it."""
    advice: str = ""
    """One sentence for people where it does not fit, or fits only just."""

    @property
    def total(self) -> int:
        return sum(device.total for device in self.devices)


class Fit(Struct, frozen=True, kw_only=True):
    """Whether a model of the catalogue would fit, by its headers alone: for lists, before any estimate is made."""

    model: str
    verdict: Verdict
    context: int = 0
    """The window that the verdict is about."""
    largest_context: int = 0
    """As in `Estimate`."""
    needs: Mapping[str, int] = {}
    """Bytes by pool of memory: `main memory`, or the name of a GPU."""
    free: Mapping[str, int] = {}
    """What of these pools can be had once every idle model has made way."""
    quantisation: str = ""
    """As in `Estimate`."""
    instead: str = ""
    """The largest quantisation of the same model on this machine that fits, where this one does not."""
    reason: str = ""
    """Why nothing can be said."""


class MemoryUse(Struct, frozen=True, kw_only=True):
    """Bytes by the allocator's own figures, where the backend gives them."""

    weights: int = 0
    kv_cache: int = 0
    compute: int = 0
    resident: int = 0
    """Resident set of the worker process."""
    devices: tuple[DeviceNeed, ...] = ()
    """The same by device."""


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
    projector: str | None = None
    """The file beside a GGUF model through which it sees."""
    licence: str = ""
    backends: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    own_adapters: tuple[str, ...] = ()
    """Paths of adapters that its store lays over it wherever nobody names others."""
    broken_adapters: Mapping[str, str] = {}
    """Adapters that lie there and cannot be used, with the reason."""
    also: tuple[str, ...] = ()
    """Further names of the very same model."""
    remarks: tuple[str, ...] = ()
    """What is to be known of it, for people: whole sentences."""
    removal: str = ""
    """How the program that keeps it deletes it; empty: it is Hearth's own, or nobody's."""
    used: float = 0.0
    """When Hearth last had it in memory, Unix seconds; 0: never, as far as is known."""
    broken: str | None = None
    missing: str | None = None
    """The extra whose libraries are not installed, where that is all that keeps the model from running."""


class LoadedModel(Struct, frozen=True, kw_only=True):
    """A resident model, or one on its way in or out."""

    id: str
    state: Literal["loading", "ready", "busy", "shrunk", "draining", "failed"]
    """`shrunk`: the weights are in memory, the KV cache is not; the next request makes it anew."""
    stage: str = ""
    """What a load is at, as in `Loading.stage`."""
    fraction: float | None = None
    """How far its stage is, 0 to 1, where that is known."""
    facts: ModelFacts | None = None
    memory: MemoryUse = field(default_factory=MemoryUse)
    pid: int | None = None
    active: int = 0
    queued: int = 0
    expires_ns: int | None = None
    """Monotonic moment of the planned unload; None: stays."""
    pinned: bool = False
    """Never unloaded to make room."""
    estimate: Estimate | None = None
    """What was predicted before it was loaded."""
    error: ErrorInfo | None = None


class RunningRequest(Struct, frozen=True, kw_only=True):
    id: str
    model: str
    client: str
    source: str
    priority: Class
    state: Literal["loading", "queued", "prefill", "decode"]
    position: int = 0
    eta_s: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    submitted_ns: int = 0


class LogLine(Struct, frozen=True, kw_only=True):
    """One line for the log panes. `origin` is a room of Hearth or the name of a model's worker."""

    t_unix: float
    level: Literal["debug", "info", "warning", "error"]
    origin: str
    text: str
