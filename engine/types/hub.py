"""What the engine says of the hub, and of the cache that models are pulled into. Bytes, and Unix seconds."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.errors import ErrorInfo
from engine.types.models import ModelEntry, Verdict

Library = Literal["gguf", "mlx", "safetensors"]
HubOrder = Literal["downloads", "likes", "date", "trending"]
Text = Annotated[str, Meta(max_length=200)]


class HubQuery(Struct, frozen=True, kw_only=True):
    """A search. What is empty or None does not narrow it."""

    text: Text = ""
    author: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$|^$")] = ""
    library: Library | None = None
    task: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$|^$")] = ""
    """A task by the hub's name, such as `text-generation`."""
    order: HubOrder = "downloads"
    most_parameters: Annotated[int, Meta(ge=0)] | None = None
    """Leaves out models that say they have more; those that do not say stay."""
    fits: bool = False
    """Leaves out models whose smallest usual form would not fit into this machine's memory."""
    limit: Annotated[int, Meta(ge=1, le=200)] = 20


class HubModel(Struct, frozen=True, kw_only=True):
    """A repository of the hub, as a search finds it. Texts are clean."""

    id: str
    downloads: int = 0
    likes: int = 0
    modified: str = ""
    """Moment of the last commit, ISO 8601."""
    task: str = ""
    libraries: tuple[Library, ...] = ()
    licence: str = ""
    gated: bool = False
    private: bool = False
    parameters: int = 0
    """Number of weights; 0: the hub does not know."""
    size: int = 0
    """Bytes of its weights: of safetensors as they are, of GGUF in the usual quantisation; 0: nobody knows."""
    verdict: Verdict = "unknown"
    """Whether weights of that size, in a short window, fit into memory now; its files say it better."""
    architecture: str = ""
    context: int = 0
    commit: str = ""
    local: bool = False
    """Whether something of it is on this machine."""


class HubPage(Struct, frozen=True, kw_only=True):
    """What a search found. Without a network only what is on this machine, and the reason."""

    models: tuple[HubModel, ...] = ()
    local: tuple[ModelEntry, ...] = ()
    """Models on this machine that match."""
    problem: ErrorInfo | None = None


class HubFile(Struct, frozen=True, kw_only=True):
    """A file of a repository. `path` is relative and safe; `etag` names its content as the cache does."""

    path: str
    size: int
    etag: str
    sha256: str = ""
    """Empty for a small file that lies in git itself; its etag is then that of a git blob (SHA-1)."""


class Quantisation(Struct, frozen=True, kw_only=True):
    """One form of a model that can be pulled: a GGUF quantisation with all its parts, or the model folder."""

    name: str
    format: Library
    files: tuple[HubFile, ...]
    """What a pull of it fetches, projectors and small files included."""
    size: int = 0
    need: int = 0
    """Memory to load it with the default context and slots, where that can be told from its header; else 0."""
    verdict: Verdict = "unknown"
    recommended: bool = False
    present: int = 0
    """Bytes of it that are on this machine."""

    @property
    def weights(self) -> int:
        """Bytes of its weights alone."""
        return sum(file.size for file in self.files if file.path.lower().endswith((".gguf", ".safetensors")))


class HubFiles(Struct, frozen=True, kw_only=True):
    """What a repository holds at one commit."""

    id: str
    revision: str
    commit: str
    quantisations: tuple[Quantisation, ...]
    """Smallest first."""
    others: tuple[HubFile, ...] = ()
    """Files that no pull fetches."""
    unsafe: tuple[str, ...] = ()
    """Why files were left out of all of this: their names, cleaned and cut."""
    gated: bool = False
    free: int = 0
    """Memory that models could have now, which the verdicts are made of."""


class HubCard(Struct, frozen=True, kw_only=True):
    """What a repository says of itself. `text` is Markdown from strangers, without control characters."""

    model: HubModel
    text: str = ""
    tags: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    """Repositories that it was made from."""
    gate: str = ""
    """How to get access, where it is gated."""


class PullRequest(Struct, frozen=True, kw_only=True):
    """`model` as people write it: `org/name`, `org/name:Q4_K_M`, `hf.co/org/name@revision`."""

    model: Annotated[str, Meta(min_length=1, max_length=400)]
    quantisation: Annotated[str, Meta(max_length=120)] | None = None
    revision: Annotated[str, Meta(max_length=100)] | None = None


class PullPlan(Struct, frozen=True, kw_only=True):
    """What a pull would fetch."""

    model: str
    """Resolved: `org/name:Q4_K_M`."""
    commit: str
    chosen: Quantisation
    offered: tuple[Quantisation, ...] = ()
    """Everything that could be pulled instead, `chosen` included, smallest first."""
    unsafe: tuple[str, ...] = ()
    """Files that were left out, as in `HubFiles`."""
    missing: int = 0
    """Bytes of it that are not here yet."""
    disk_free: int = 0


PullStage = Literal[
    "interrupted",
    "queued",
    "asking",
    "locked",
    "fetching",
    "waiting",
    "verifying",
    "done",
    "cancelled",
    "failed",
]
"""`interrupted`: begun by a Hearth that is gone, or given up, and not going on by itself."""


class PullState(Struct, frozen=True, kw_only=True):
    """How far a pull is. `done` is complete and verified, and visible to every program that shares the cache."""

    id: str
    """Empty for one that was interrupted."""
    model: str
    """What it pulls, resolved once that is known: `org/name:Q4_K_M`."""
    stage: PullStage = "queued"
    position: int = 0
    """How many pulls are before it."""
    files: int = 0
    files_done: int = 0
    size: int = 0
    done: int = 0
    """Bytes that are here, of `size`."""
    fetched: int = 0
    """Bytes that came over the network for it, what had to be fetched again included."""
    speed: float = 0.0
    """Bytes a second, lately."""
    left_s: float | None = None
    """Seconds that the rest will take at that speed."""
    note: str = ""
    """What it waits for, or what had to be mended."""
    commit: str = ""
    path: str = ""
    """The model file or folder, once it is done."""
    error: ErrorInfo | None = None

    @property
    def ended(self) -> bool:
        return self.stage in ("done", "cancelled", "failed")


class CachedFile(Struct, frozen=True, kw_only=True):
    """A file of a revision in the cache. Several may share one blob."""

    path: str
    """Relative to the revision."""
    size: int
    blob: str


class CachedRevision(Struct, frozen=True, kw_only=True):
    commit: str
    refs: tuple[str, ...] = ()
    size: int = 0
    files: tuple[CachedFile, ...] = ()


class CachedRepository(Struct, frozen=True, kw_only=True):
    """A repository in the cache; a blob that two revisions share counts once."""

    id: str
    kind: Literal["model", "dataset", "space", "kernel"] = "model"
    path: str
    size: int = 0
    used: float = 0.0
    """When one of its files was last read, as far as the file system says."""
    modified: float = 0.0
    revisions: tuple[CachedRevision, ...] = ()
    loaded: bool = False
    partial: int = 0
    """Bytes of downloads that are not complete."""
    unreferenced: int = 0
    """Bytes of blobs that no revision uses."""


class CacheScan(Struct, frozen=True, kw_only=True):
    """The cache that all Hugging Face programs share."""

    path: str
    size: int = 0
    repositories: tuple[CachedRepository, ...] = ()
    """The largest first."""
    broken: tuple[str, ...] = ()
    """What lies there and is no sound repository, with the reason."""


class Freed(Struct, frozen=True, kw_only=True):
    """What a deletion frees, or would free. `what` says it item by item, for people."""

    size: int = 0
    files: int = 0
    what: tuple[str, ...] = ()


class Verified(Struct, frozen=True, kw_only=True):
    """What came of reading all files of a repository in the cache."""

    id: str
    files: int = 0
    size: int = 0
    damaged: tuple[str, ...] = ()
    """Names of files that are not what they should be."""


class NewRevision(Struct, frozen=True, kw_only=True):
    """Whether the hub has something newer than a model on this machine."""

    id: str
    ref: str
    local: str
    """The commit that is here."""
    remote: str
    problem: ErrorInfo | None = None

    @property
    def newer(self) -> bool:
        return bool(self.remote) and self.remote != self.local
