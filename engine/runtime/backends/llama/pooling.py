"""How the vectors of a text's tokens become one, and what of that a model's file says.

The vectors are taken out of the library token by token and pooled here: then one context serves every kind of
pooling, a long text can be read in pieces, and of a causal model only those rows are computed that count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.metadata import metadata
from engine.types import Pooling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# llama_pooling_type of llama.h, as the metadata key writes it.
_OWN: Final[dict[str, Pooling | Literal["rank"]]] = {"1": "mean", "2": "cls", "3": "last", "4": "rank"}


def own_pooling(model: int) -> Pooling | Literal["rank"] | None:
    """What the file of `model` (a native handle) says; `rank` is a head that scores, None is nothing said."""
    return _OWN.get(metadata(model, f"{metadata(model, 'general.architecture')}.pooling_type") or "")


def can_embed(model: int) -> bool:
    """Whether `model` gives its tokens vectors: all do but those of two halves and drafts of others."""
    api = native()
    return not (api.llama_model_has_encoder(model) and api.llama_model_has_decoder(model))


def can_rank(model: int) -> bool:
    """Whether `model` has a head that scores a document against a query."""
    return can_embed(model) and own_pooling(model) == "rank" and native().llama_model_n_cls_out(model) > 0


def tokens_that_count(pooling: Pooling, length: int) -> range:
    """Which of `length` tokens' vectors the pooled one is made of."""
    if pooling == "cls":
        return range(1)
    return range(length - 1 if pooling == "last" else 0, length)


def finished(vectors: NDArray[Any], dimensions: int | None, *, normalise: bool) -> NDArray[np.float32]:
    """Vectors [n, width] cut to their first `dimensions` numbers and scaled to the length 1.

    Cutting first is what models trained for it expect (Kusupati et al., Matryoshka Representation Learning,
    2022). A vector of length 0 stays as it is.
    """
    import numpy as np

    wide = np.asarray(vectors, np.float64)[:, :dimensions]
    if normalise:
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        wide = wide / np.where(lengths > 0.0, lengths, 1.0)
    return np.ascontiguousarray(wide, "<f4")
