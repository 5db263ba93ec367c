"""Texts of embedding requests as tokens: checked, cut to what a model can read, and made into a job."""

from __future__ import annotations

from typing import Protocol

from engine.errors import ContextOverflow, InvalidRequest
from engine.runtime.backends.embedding.jobs import EmbedJob
from engine.types import AdapterRef, EmbedRequest, Pooling


class Words(Protocol):
    """What is asked of a vocabulary."""

    @property
    def size(self) -> int: ...

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...


class EmbedTexts:
    """Makes jobs for one model: `limit` is the longest text in tokens that it is to read, `width` that of its vectors.

    `pooling` holds where a request says nothing. `endings` are tokens that end every text.
    """

    def __init__(
        self,
        vocabulary: Words,
        *,
        name: str,
        limit: int,
        width: int,
        pooling: Pooling = "mean",
        endings: tuple[int, ...] = (),
    ) -> None:
        self._vocabulary, self._name, self._limit, self._width = vocabulary, name, limit, width
        self._pooling: Pooling = pooling
        self._endings = endings

    def embed_job(self, request: EmbedRequest, adapters: tuple[AdapterRef, ...] = ()) -> EmbedJob:
        """The job of `request`, laid under `adapters` (paths and scales).

        Raises InvalidRequest for an input or a number of dimensions that cannot be, and
        ContextOverflow for an input that is too long and must not be cut.
        """
        dimensions = request.dimensions
        if dimensions is not None and dimensions > self._width:
            raise InvalidRequest(
                f"{self._name} gives {self._width} dimensions, not {dimensions}.",
                fix=f"Ask for at most {self._width}, or leave `dimensions` out.",
                param="dimensions",
            )
        inputs, truncated = [], []
        for index, given in enumerate(request.inputs):
            tokens = self._tokens(given, index)
            cut = len(tokens) > self._limit
            if cut and not request.truncate:
                raise ContextOverflow(
                    f"Input {index} is too long for {self._name}.",
                    f"It has {len(tokens)} tokens, and at most {self._limit} can be read.",
                    "Shorten it, or allow it to be cut (truncate).",
                    param="input",
                )
            inputs.append(self._cut(tokens, is_text=isinstance(given, str)) if cut else tuple(tokens))
            truncated.append(cut)
        return EmbedJob(
            inputs,
            truncated,
            pooling=request.pooling or self._pooling,
            dimensions=dimensions,
            width=self._width,
            normalise=request.normalise,
            adapters=adapters,
        )

    def _tokens(self, given: str | tuple[int, ...], index: int) -> list[int]:
        if isinstance(given, str):
            tokens = self._vocabulary.tokenize(given, add_special=True, parse_special=False)
        else:
            tokens = list(given)
        if not tokens:
            raise InvalidRequest(f"Input {index} is empty.", "It holds no token.", param="input")
        if min(tokens) < 0 or max(tokens) >= self._vocabulary.size:
            raise InvalidRequest(
                f"Input {index} holds a token that {self._name} does not have.",
                f"Its tokens are 0 to {self._vocabulary.size - 1}.",
                param="input",
            )
        return tokens

    def _cut(self, tokens: list[int], *, is_text: bool) -> tuple[int, ...]:
        """The first tokens of a text; the one that ends every text stays, since much hangs on it."""
        if is_text and tokens[-1] in self._endings and self._limit > 1:
            return (*tokens[: self._limit - 1], tokens[-1])
        return tuple(tokens[: self._limit])
