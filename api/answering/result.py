"""A whole answer, put together from the events of its stream; every dialect renders this one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable
from pathlib import Path

from api.errors import Cancelled
from engine.errors import HearthError
from engine.types import (
    AdapterRef,
    Admitted,
    Delta,
    Done,
    DoneReason,
    Failed,
    Finished,
    FinishReason,
    Shifted,
    StreamEvent,
    Timings,
    TokenLogprob,
    ToolCall,
    ToolDelta,
    Usage,
)


class Choice:
    """One choice while it comes, and when it is whole."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.reason: FinishReason = "stop"
        self.stop_string: str | None = None
        self.logprobs: list[TokenLogprob] = []
        self.token_ids: list[int] = []
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, tuple[str, str, list[str]]] = {}

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    @property
    def calls(self) -> list[ToolCall]:
        return [
            ToolCall(id=id, name=name, arguments="".join(pieces))
            for id, name, pieces in (self._calls[place] for place in sorted(self._calls))
        ]

    def add(self, event: Delta | ToolDelta) -> None:
        if isinstance(event, ToolDelta):
            id, name, pieces = self._calls.get(event.index, ("", "", []))
            if event.arguments:
                pieces.append(event.arguments)
            self._calls[event.index] = (event.id or id, event.name or name, pieces)
            return
        if event.text:
            (self._text if event.kind == "content" else self._reasoning).append(event.text)
        self.logprobs += event.logprobs
        self.token_ids += event.token_ids


class Result:
    """The answer so far."""

    def __init__(self) -> None:
        self.choices: dict[int, Choice] = {}
        self.admitted: Admitted | None = None
        self.usage, self.timings = Usage(), Timings()
        self.reason: DoneReason = "finished"
        self.seed: int | None = None
        self.model = ""
        self.adapters: tuple[AdapterRef, ...] = ()
        self.shifted = 0

    @property
    def first(self) -> Choice:
        return self.choices.get(0) or Choice(0)

    @property
    def ordered(self) -> list[Choice]:
        return [self.choices[index] for index in sorted(self.choices)]

    @property
    def truncated(self) -> bool:
        """Whether something of the prompt or the text so far was left out."""
        dropped = self.admitted is not None and bool(
            self.admitted.dropped_messages or self.admitted.dropped_tokens
        )
        return dropped or self.shifted > 0

    @property
    def adapter_names(self) -> list[tuple[str, float]]:
        """The adapters that were laid over the model, and how strongly; a file goes by its name alone."""
        return [
            (Path(each.name).stem if os.sep in each.name else each.name, each.scale) for each in self.adapters
        ]

    def add(self, event: StreamEvent) -> None:
        """Take in the next event. Raises the HearthError of `Failed`, and Cancelled."""
        match event:
            case Delta() | ToolDelta():
                self.choice(event.choice).add(event)
            case Finished():
                choice = self.choice(event.choice)
                choice.reason, choice.stop_string = event.reason, event.stop_string
            case Admitted():
                self.admitted = event
            case Shifted():
                self.shifted += event.dropped
            case Done():
                self.usage, self.timings, self.reason = event.usage, event.timings, event.reason
                self.seed, self.model, self.adapters = event.seed, event.model, event.adapters
                if event.reason == "cancelled":
                    raise Cancelled("The request was cancelled.")
            case Failed():
                raise HearthError.from_info(event.error)
            case _:
                pass

    def choice(self, index: int) -> Choice:
        found = self.choices.get(index)
        if found is None:
            found = self.choices[index] = Choice(index)
        return found


async def collect(stream: AsyncIterable[StreamEvent]) -> Result:
    """The whole answer of `stream`. Raises what `Result.add` raises."""
    result = Result()
    async for event in stream:
        result.add(event)
    return result
