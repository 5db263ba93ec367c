"""What the parity suite asks: one backend with a model resident in an engine, and what is heard of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.face import Stream
from engine.library.load_options import meant_for
from engine.local import LocalEngine
from engine.types import (
    AdapterRef,
    Admitted,
    BackendName,
    Capabilities,
    Delta,
    Done,
    Failed,
    Finished,
    GenerationRequest,
    LoadOptions,
    Message,
    StreamEvent,
    TokenLogprob,
    ToolDelta,
    Usage,
)

LOAD = LoadOptions(context=512, slots=4, threads=1, batch_threads=1, flash_attention=False)
"""Without flash attention, whose sums on a CPU depend on how a text was cut into batches: 0.1 in a log-probability."""


def load_of(backend: BackendName) -> LoadOptions:
    """How models are loaded under `backend`."""
    return meant_for(backend, LOAD)


class Heard:
    """The events of one request, taken apart."""

    def __init__(self, events: Sequence[StreamEvent]) -> None:
        self.events = list(events)

    @property
    def done(self) -> Done:
        end = self.events[-1]
        assert isinstance(end, Done), end
        return end

    @property
    def failed(self) -> Failed:
        end = self.events[-1]
        assert isinstance(end, Failed), end
        return end

    @property
    def usage(self) -> Usage:
        return self.done.usage

    @property
    def admitted(self) -> Admitted:
        (found,) = [event for event in self.events if isinstance(event, Admitted)]
        return found

    def deltas(self, choice: int = 0) -> list[Delta]:
        return [event for event in self.events if isinstance(event, Delta) and event.choice == choice]

    def text(self, choice: int = 0) -> str:
        return "".join(event.text for event in self.deltas(choice) if event.kind == "content")

    def reasoning(self, choice: int = 0) -> str:
        return "".join(event.text for event in self.deltas(choice) if event.kind == "reasoning")

    def tokens(self, choice: int = 0) -> list[int]:
        """The ids of the answer, its end token left out; asked for by `return_tokens`."""
        return [token for event in self.deltas(choice) for token in event.token_ids]

    def logprobs(self, choice: int = 0) -> list[TokenLogprob]:
        return [each for event in self.deltas(choice) for each in event.logprobs]

    def end(self, choice: int = 0) -> Finished:
        (found,) = [event for event in self.events if isinstance(event, Finished) and event.choice == choice]
        return found

    @property
    def calls(self) -> list[tuple[str, str]]:
        """(name, arguments) of each call of the first choice, put together from its pieces."""
        found: dict[int, list[str]] = {}
        for event in self.events:
            if isinstance(event, ToolDelta):
                name, arguments = found.setdefault(event.index, ["", ""])
                found[event.index] = [name + (event.name or ""), arguments + event.arguments]
        return [(name, arguments) for name, arguments in found.values()]


@dataclass(frozen=True)
class Subject:
    """One backend under test."""

    backend: BackendName
    model: str
    engine: LocalEngine
    can: Capabilities
    pirate: AdapterRef
    """An adapter that changes what the model says."""

    def ask(self, question: str | None = None, **fields: Any) -> GenerationRequest:
        """A greedy request for at most 24 tokens, if `fields` do not say otherwise. `question` is a user's turn."""
        said: dict[str, Any] = {
            "model": self.model,
            "backend": self.backend,
            "load": load_of(self.backend),
            "max_tokens": 24,
            "sampling": {"temperature": 0.0},
        }
        if question is not None:
            said["messages"] = (Message(role="user", content=question),)
        return GenerationRequest(**said | fields)

    def stream(self, question: str | None = None, **fields: Any) -> Stream:
        return self.engine.generate(self.ask(question, **fields))

    async def hear(self, question: str | None = None, **fields: Any) -> Heard:
        return Heard([event async for event in self.stream(question, **fields)])
