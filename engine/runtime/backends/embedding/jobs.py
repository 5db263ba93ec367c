"""Texts on their way to vectors or scores: what is asked of each token, what comes of it, and the answer.

A job is made from a request by `embed_job` or `rank_job`, which check and tokenize it; the embedder gives it
its rows; when nothing is left, or an error came, it has its answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import HearthError
from engine.runtime.backends.embedding.pooling import finished, tokens_that_count
from engine.types import AdapterRef, Embeddings, Pooling, Ranked, Ranking

if TYPE_CHECKING:
    from numpy.typing import NDArray

Head = Literal["states", "rank"]
"""What comes out at the end: the tokens' hidden states after the last norm, or scores."""


class Job(ABC):
    """The texts of one request. `error` is set when it ended in one."""

    head: Head

    def __init__(self, inputs: Sequence[tuple[int, ...]], adapters: tuple[AdapterRef, ...]) -> None:
        self.inputs, self.adapters = tuple(inputs), adapters
        self.error: HearthError | None = None
        self.left = len(self.inputs)
        """Inputs that are not read to their end."""

    @property
    def done(self) -> bool:
        return self.error is not None or self.left == 0

    @property
    def tokens(self) -> int:
        return sum(map(len, self.inputs))

    @abstractmethod
    def wanted(self, index: int) -> range:
        """The tokens of an input whose rows are needed; those behind it need not be read at all."""

    @abstractmethod
    def take(self, index: int, rows: NDArray[Any]) -> None:
        """Further rows of an input, in order: float32 [tokens, width], or one row of scores."""

    @abstractmethod
    def forget(self, index: int) -> None:
        """The input is read again from its start."""

    @abstractmethod
    def answer(self, model: str) -> Embeddings | Ranking:
        """What came of it, once everything is read."""


class EmbedJob(Job):
    """Texts that become vectors."""

    head: Head = "states"

    def __init__(
        self,
        inputs: Sequence[tuple[int, ...]],
        truncated: Sequence[bool],
        *,
        pooling: Pooling,
        dimensions: int | None,
        width: int,
        normalise: bool,
        adapters: tuple[AdapterRef, ...],
    ) -> None:
        super().__init__(inputs, adapters)
        self._truncated = tuple(truncated)
        self._pooling, self._normalise = pooling, normalise
        self._dimensions, self._width = dimensions, width
        self._rows: list[list[NDArray[Any]]] = [[] for _ in inputs]

    def wanted(self, index: int) -> range:
        return tokens_that_count(self._pooling, len(self.inputs[index]))

    def take(self, index: int, rows: NDArray[Any]) -> None:
        import numpy as np

        if self._pooling == "mean":
            # A sum is all that is kept of a long text.
            rows = rows.sum(axis=0, dtype=np.float64, keepdims=True)
        self._rows[index].append(rows)

    def forget(self, index: int) -> None:
        self._rows[index].clear()

    def vectors(self) -> list[NDArray[Any]]:
        """Of each input [1, dimensions] float32, or [tokens, dimensions] where the pooling is `none`."""
        import numpy as np

        found = []
        for tokens, parts in zip(self.inputs, self._rows, strict=True):
            rows = np.concatenate(parts)
            if self._pooling == "mean":
                rows = rows.sum(axis=0, keepdims=True) / len(tokens)
            found.append(finished(rows, self._dimensions, normalise=self._normalise))
        return found

    def answer(self, model: str) -> Embeddings:
        return Embeddings(
            vectors=tuple(each.tobytes() for each in self.vectors()),
            dimensions=self._dimensions or self._width,
            tokens=tuple(map(len, self.inputs)),
            truncated=self._truncated,
            pooling=self._pooling,
            model=model,
        )


class RankJob(Job):
    """Documents that are scored against a query; an input is a query with one document."""

    head: Head = "rank"

    def __init__(self, inputs: Sequence[tuple[int, ...]], top: int | None) -> None:
        super().__init__(inputs, ())
        self._top = top
        self._scores = [0.0] * len(inputs)

    def wanted(self, index: int) -> range:
        # The head looks at the last token of a causal model; of the others all are read at once.
        return tokens_that_count("last", len(self.inputs[index]))

    def take(self, index: int, rows: NDArray[Any]) -> None:
        # Of several classes the first is the one that says yes.
        self._scores[index] = float(rows[0, 0])

    def forget(self, index: int) -> None:
        # A score comes whole, from the last row.
        self._scores[index] = 0.0

    def answer(self, model: str) -> Ranking:
        order = sorted(range(len(self.inputs)), key=lambda index: -self._scores[index])
        return Ranking(
            results=tuple(Ranked(index, self._scores[index]) for index in order[: self._top]),
            tokens=self.tokens,
            model=model,
        )
