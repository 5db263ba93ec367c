"""The one face of the engine that `tui`, `api`, `evals` and `cli` see.

`LocalEngine` implements it in this process; an engine across the network will too, which is why nothing here
hands out an object that could not travel: requests, events and records are the Structs of `engine.types`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

from engine.types import (
    Embeddings,
    EmbedRequest,
    Estimate,
    GenerationRequest,
    LoadedModel,
    LoadOptions,
    LogLine,
    Message,
    ModelEntry,
    ModelFacts,
    Ranking,
    RerankRequest,
    RunningRequest,
    StreamEvent,
    Terminal,
    Tool,
)


class Stream(Protocol):
    """The events of one request, for one reader. A reader either iterates or drains, not both."""

    id: str

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        """Events in order, the terminal one last; may be awaited from any loop."""
        ...

    def drain(self) -> list[StreamEvent]:
        """What has come since the last call; never waits, callable from any thread. For panes with a clock."""
        ...

    def cancel(self) -> None:
        """Ask for the end, from any thread; the stream still ends with its terminal event."""
        ...

    async def wait(self) -> Terminal:
        """The terminal event; events before it are thrown away."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Every call may be made from any thread or loop. Calls raise `engine.errors.HearthError`."""

    def generate(self, request: GenerationRequest) -> Stream:
        """Start a request and return at once; a request that cannot be served ends in `Failed`."""
        ...

    async def load(
        self, model: str, options: LoadOptions | None = None, *, keep_alive: float | None = None
    ) -> None:
        """Make `model` resident. `keep_alive` in seconds as in `GenerationRequest`."""
        ...

    async def unload(self, model: str) -> None:
        """Let running requests of `model` end as cancelled and free it. Unknown or absent is no error."""
        ...

    async def cancel(self, request_id: str) -> bool:
        """Cancel a request by id; False if it is not running."""
        ...

    async def estimate(self, model: str, options: LoadOptions | None = None) -> Estimate:
        """What loading `model` would take, and whether that fits; a file that is new here is tried on the way.

        Raises ModelLoadFailed for one that would not load, Unsupported where its backend cannot tell.
        """
        ...

    async def pin(self, model: str) -> None:
        """Never send `model` away once it is loaded: neither to make room nor when its keep-alive is over."""
        ...

    async def unpin(self, model: str) -> None: ...

    def running(self) -> list[RunningRequest]: ...

    def loaded(self) -> list[LoadedModel]: ...

    async def models(self) -> list[ModelEntry]:
        """Every model that this machine could run."""
        ...

    async def facts(self, model: str) -> ModelFacts:
        """What `model` is; its weights are not loaded for it, nor for any question about text."""
        ...

    async def tokenize(self, model: str, text: str, *, special: bool = True) -> list[int]: ...

    async def detokenize(self, model: str, tokens: Sequence[int]) -> str: ...

    async def render(
        self, model: str, messages: Sequence[Message], tools: Sequence[Tool] = (), *, open_turn: bool = True
    ) -> str:
        """The prompt text that the model's template makes of `messages`."""
        ...

    async def count(self, request: GenerationRequest) -> int:
        """How many tokens the prompt of `request` has, before anything of it is dropped to fit a window."""
        ...

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Turn texts into vectors, beside whatever else the model does."""
        ...

    async def rerank(self, request: RerankRequest) -> Ranking:
        """Score documents against a query, with a model that has a ranking head."""
        ...

    async def request_log(self, limit: int = 100) -> list[dict[str, object]]:
        """The last finished requests, newest first, as rows of the metrics store's `requests` table."""
        ...

    async def model_log(self, limit: int = 100) -> list[dict[str, object]]:
        """What became of models, newest first, as rows of the metrics store's `model_events` table."""
        ...

    def logs(self, limit: int = 500) -> list[LogLine]:
        """The newest lines of Hearth and of the models' native logs, oldest first."""
        ...

    async def close(self) -> None:
        """End streams, stop workers, write what is pending."""
        ...
