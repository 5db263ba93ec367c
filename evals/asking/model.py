"""The face of whoever is asked, and under which conditions: everything that could change an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from engine.types import GenerationRequest, Json, Message, StreamEvent


class Conditions(Struct, frozen=True, kw_only=True):
    """The same for all models of a run. Greedy unless `sampling` says otherwise."""

    sampling: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.0})
    seed: int = 0
    max_tokens: int | None = None
    """None: what the dataset says."""
    system: str | None = None
    """For samples that bring none of their own."""
    thinking: bool | None = None
    reproducible: bool = False
    """One at a time, nothing taken from the prefix cache, no flash attention: the same bits each time."""
    flash_attention: bool | None = None
    """False: a batched answer is the same whatever else is in its batch (on a CPU); None: as the model is loaded."""
    timeout_s: float = 600.0
    """For one answer."""

    @property
    def greedy(self) -> bool:
        return float(self.sampling.get("temperature", 0.0)) == 0.0


class Likelihood(Struct, frozen=True):
    """How likely a text was: the sum of its tokens' natural log-probabilities, how many they are, and its bytes."""

    logprob: float
    tokens: int
    bytes: int


class AskedModel(Protocol):
    """A model that answers. Calls raise HearthError."""

    async def at_once(self) -> int:
        """How many requests keep it busy."""
        ...

    async def described(self) -> dict[str, Json]:
        """What is known of it, for reports: its quantisation, the hash of its template, where it runs."""
        ...

    def stream(self, request: GenerationRequest) -> AsyncIterator[StreamEvent]:
        """The events of one answer, a terminal one last. Closing it early cancels."""
        ...

    async def continuations(
        self, messages: Sequence[Message], texts: Sequence[str], conditions: Conditions
    ) -> list[Likelihood]:
        """How likely each of `texts` is as the answer to `messages`. Raises Unsupported where that is not told."""
        ...

    async def text(self, text: str, conditions: Conditions) -> Likelihood:
        """How likely `text` is, all but its first token, in windows as long as the model's. Raises Unsupported."""
        ...

    async def close(self) -> None: ...
