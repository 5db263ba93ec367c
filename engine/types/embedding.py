"""Requests beside generation, with their answers: embeddings and ranking."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from engine.types.request import AdapterRef, Class, LoadOptions

Pooling = Literal["mean", "cls", "last", "none"]


class EmbedRequest(Struct, frozen=True, kw_only=True):
    """Texts or token lists to be turned into vectors, all in as few batches as they fit into."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    pooling: Pooling | None = None
    """None: the model's own; mean where it names none. `none` gives a vector for each token."""
    normalise: bool = True
    """Scale each vector to a Euclidean length of 1."""
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    """Keep the first so many numbers (for models trained so that they stand alone), then normalise."""
    truncate: bool = True
    """Cut what is longer than the model can take, and say so; else refuse it."""
    adapters: tuple[AdapterRef, ...] | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    keep_alive: Annotated[float, Meta(le=1e9)] | None = None
    client: str = ""
    source: str = ""
    priority: Class = "api"


class Embeddings(Struct, frozen=True, kw_only=True):
    """One entry an input, in order. A vector is little-endian float32, `dimensions` numbers, as bytes.

    With pooling `none` an entry holds one vector after another, a token each.
    """

    vectors: tuple[bytes, ...]
    dimensions: int
    tokens: tuple[int, ...]
    """Tokens read of each input."""
    truncated: tuple[bool, ...] = ()
    pooling: Pooling = "mean"
    model: str = ""
    load_s: float = 0.0
    total_s: float = 0.0


class RerankRequest(Struct, frozen=True, kw_only=True):
    """Documents to be scored against a query by a model with a ranking head."""

    model: str
    query: str
    documents: tuple[str, ...]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    keep_alive: Annotated[float, Meta(le=1e9)] | None = None
    client: str = ""
    source: str = ""
    priority: Class = "api"


class Ranked(Struct, frozen=True):
    """`index` is the document's place in the request; `score` the head's raw output, higher is nearer."""

    index: int
    score: float


class Ranking(Struct, frozen=True, kw_only=True):
    """The best documents first, at most `top_n`."""

    results: tuple[Ranked, ...]
    tokens: int = 0
    model: str = ""
    load_s: float = 0.0
    total_s: float = 0.0
