"""How the vectors of a text's tokens become one.

The vectors are taken out of the library token by token and pooled here: then one pass serves every kind of pooling, a
long text can be read in pieces, and of a causal model only those rows are computed that count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.types import Pooling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
