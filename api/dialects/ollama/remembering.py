"""The `context` of generate: the tokens of the conversation so far, which a client sends back to go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from engine import Engine, Stream
from engine.errors import HearthError
from engine.types import Delta, Done, Message, StreamEvent


class Remembering:
    """`stream`, with `extra["context"]` filled in before its last event. See `engine.face.Stream`."""

    def __init__(
        self, stream: Stream, engine: Engine, prompt: list[int] | None, said: Said, extra: dict[str, Any]
    ) -> None:
        self.id = stream.id
        self._stream, self._engine, self._prompt, self._said, self._extra = (
            stream,
            engine,
            prompt,
            said,
            extra,
        )

    def cancel(self) -> None:
        self._stream.cancel()

    async def __aiter__(self) -> AsyncIterator[StreamEvent]:
        answer: list[int] = []
        async for event in self._stream:
            if isinstance(event, Delta):
                answer += event.token_ids
            elif isinstance(event, Done) and event.reason == "finished":
                try:
                    prompt = (
                        self._prompt if self._prompt is not None else await self._said.tokens(self._engine)
                    )
                    self._extra["context"] = [*prompt, *answer]
                except HearthError:
                    # The model has gone meanwhile; the answer stands without it.
                    pass
            yield event


class Said:
    """A prompt with its system text, as tokens by the model's own template."""

    def __init__(self, model: str, prompt: str, system: str | None) -> None:
        self._model = model
        self._messages = [Message(role="user", content=prompt)]
        if system:
            self._messages.insert(0, Message(role="system", content=system))

    async def tokens(self, engine: Engine) -> list[int]:
        """Raises HearthError."""
        text = await engine.render(self._model, self._messages)
        tokens = await engine.tokenize(self._model, text)
        # Templates usually write the token that begins a text themselves.
        return tokens[1:] if len(tokens) > 1 and tokens[0] == tokens[1] else tokens

    async def following(self, engine: Engine, context: list[int]) -> list[int]:
        """The tokens behind `context`. Raises HearthError."""
        tokens = await self.tokens(engine)
        begins = bool(context) and bool(tokens) and context[0] == tokens[0]
        return [*context, *(tokens[1:] if begins else tokens)]
