"""The seam under `FolderBackend`: what a library must do for model folders; everything else is the same for all.

A pass computes parts of many sequences at once. Their keys and values lie in holders, which the library has its own way
to keep; what may be shared, cut and saved is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct

from engine.runtime.backends.media import MediaReader, Span
from engine.runtime.backends.sampling.logprobs import Floats
from engine.types import AdapterRef


class Interrupted(Exception):
    """A pass was broken off; nothing of it counts."""


class Part(Struct, frozen=True):
    """Tokens of one sequence in a pass, behind the first `start`, which its holder has.

    `outputs`: behind how many of the last of them logits are wanted.
    """

    holder: int
    tokens: Sequence[int]
    start: int
    outputs: int = 0
    spans: Sequence[Span] = ()
    """The pictures of the sequence, in all of it."""


class Holders(Protocol):
    """Keys and values of sequences, by number; a holder has the first `count` tokens of its sequence."""

    @property
    def tokens(self) -> int:
        """How many tokens all of them have together."""
        ...

    @property
    def size(self) -> int:
        """Bytes that they take."""
        ...

    def count(self, holder: int) -> int: ...

    def advanced(self, holder: int, count: int) -> None:
        """What a pass has written up to `count` tokens is valid; what lies behind is not."""
        ...

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        """Give `target`, which has those before, the tokens from `start` to `stop` of `source` too."""
        ...

    def cut(self, holder: int, count: int) -> None:
        """Forget what follows the first `count` tokens."""
        ...

    def save(self, holder: int, count: int) -> memoryview:
        """The first `count` tokens as bytes."""
        ...

    def restore(self, holder: int, state: bytes | memoryview, count: int) -> None:
        """Put what `save` gave into an empty holder. Raises InternalError."""
        ...

    def clear(self) -> None: ...


class Adapters(Protocol):
    """The LoRA adapters of one model, each by the path of its folder."""

    def use(self, adapters: Sequence[AdapterRef]) -> None:
        """Make exactly `adapters` hold; none at all restores the base model exactly.

        Raises ModelNotFound, InvalidRequest or Unsupported, and then leaves in place what held before.
        """
        ...

    def meanwhile(self, adapters: Sequence[AdapterRef]) -> AbstractContextManager[None]:
        """The same inside; behind it those hold that held before, whatever has become of their files.

        Raises as `use`.
        """
        ...

    def identity(self, adapters: Sequence[AdapterRef]) -> str:
        """Tells this set, with its scales and the content of its files, from every other; empty for none."""
        ...


class Library(Protocol):
    """A loaded model."""

    @property
    def holders(self) -> Holders: ...

    @property
    def adapters(self) -> Adapters: ...

    @property
    def media(self) -> MediaReader | None:
        """What reads pictures; None where the model, or the library, has no eyes."""
        ...

    def logits(self, parts: Sequence[Part]) -> Floats:
        """Compute `parts`; float32 [outputs of all parts in turn, vocabulary].

        Raises Interrupted, InternalError or InsufficientMemory, and then nothing counts; StateLost.
        """
        ...

    def states(self, parts: Sequence[Part]) -> Floats:
        """The hidden states behind every token of `parts`, after the last norm, float32 [tokens, width]."""
        ...

    def interrupt(self) -> None:
        """Break off a pass, where the library can. From any thread."""
        ...

    def interrupted(self) -> bool:
        """Whether somebody asked for that since the last time; it is forgotten with the question."""
        ...

    @property
    def weight_bytes(self) -> int: ...

    @property
    def form(self) -> str:
        """Everything beside the weights that states depend on: library, type of number, device."""
        ...

    def close(self) -> None: ...
