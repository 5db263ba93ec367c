"""Pictures among the tokens of a sequence: the seam between those who lay out a prompt and those who compute it.

A picture is some run of consecutive tokens, a *span*, whose embeddings come from the picture and not from the
vocabulary. So that all who deal with sequences (prefix cache, scheduler, saved state) need to know nothing of
pictures, each of its tokens has a number of its own, below zero, that follows from the content of the picture: equal
numbers mean equal state, as for words. A state is never cut within a span, whose first number is told from the others
by its size (`FIRST`).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import shake_256
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.media.picture import Picture


FIRST: Final = -(2**30)
"""The first number of a span is not below it, the others are."""


class Source(Protocol):
    """A picture as a backend has prepared it, or a part of one."""

    @property
    def nbytes(self) -> int: ...


class Span(Struct, frozen=True, kw_only=True):
    """The tokens from `start` on, `count` of them, that are a picture or a part of one, identified by `key`.

    `positions` of each token relative to that of the first, int32 [axes, count]; None: one after the other, as for
    words. What follows is at the position of the first plus `advance`.
    """

    start: int
    count: int
    key: bytes
    advance: int
    positions: NDArray[np.int32] | None = None
    whole: bool = False
    """Whether all of it has to be computed in one step: its tokens see one another, or share positions."""
    two_ways: bool = False
    """Whether its tokens see one another."""
    source: Source | None = None
    """What the backend makes the embeddings of; None once they are there."""
    vectors: Any = None
    """Its embeddings, [count, width of the model], once they are there: an array, or a tensor of the library's."""

    @property
    def end(self) -> int:
        return self.start + self.count

    @property
    def size(self) -> int:
        """Bytes that its embeddings take, or what they will be made of."""
        if self.vectors is not None:
            return int(self.vectors.nbytes)
        return 0 if self.source is None else self.source.nbytes

    def with_vectors(self, vectors: Any) -> Span:
        return replace(self, vectors=vectors, source=None)

    def moved(self, by: int) -> Span:
        """The same span in a sequence in which so many tokens come before."""
        return replace(self, start=self.start + by)


class Laid(Struct, frozen=True):
    """Tokens with pictures among them, those of pictures below zero, and the spans in order.

    `before` and `after` are words that belong around a picture: tokens may join them with the words of the prompt.
    """

    tokens: tuple[int, ...]
    spans: tuple[Span, ...] = ()
    before: str = ""
    after: str = ""

    @property
    def picture_tokens(self) -> int:
        return sum(span.count for span in self.spans)

    @property
    def size(self) -> int:
        """Bytes that its pictures take."""
        return sum(span.size for span in self.spans)


class MediaReader(Protocol):
    """Turns pictures into tokens, and these into embeddings. From any thread."""

    @property
    def stand_in(self) -> str | None:
        """The special token that the model's template writes for a picture; None: templates say nothing of pictures."""
        ...

    @property
    def alone_differs(self) -> bool:
        """Whether the one picture of a prompt is read otherwise than one of several."""
        ...

    def read(self, picture: Picture, *, alone: bool = True) -> Laid:
        """What a picture comes to in a prompt, with all that the model wants around it; not yet its embeddings.

        `alone`: whether it is the only one. Raises InvalidRequest for a picture that the model cannot take.
        """
        ...

    def encode(self, span: Span) -> Span:
        """The same with `vectors`, remembered by its key. Raises InternalError or InsufficientMemory."""
        ...


def numbers(key: bytes, count: int) -> list[int]:
    """`count` numbers below zero that follow from `key`, one for each token of a picture."""
    drawn = np.frombuffer(shake_256(key).digest(4 * count), np.uint32) % np.uint32(-FIRST)
    first = -1 - int(drawn[0])
    return [first, *(FIRST - 1 - int(number) for number in drawn[1:])]


def position_of(spans: Sequence[Span], index: int) -> int:
    """The position of the token at `index` of a sequence with `spans`; within a span, that of its first token."""
    behind = 0
    for span in spans:
        if span.start >= index:
            break
        if index < span.end:
            return span.start - behind
        behind += span.count - span.advance
    return index - behind
