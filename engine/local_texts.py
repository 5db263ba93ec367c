"""The part of `LocalEngine` that is about texts: their tokens, the prompts made of them, vectors and rankings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from engine.checking import check
from engine.local_parts import LocalParts
from engine.media import has_images
from engine.runtime.completing import completed, keep_alive_of, load_of, looked_at
from engine.runtime.readers import BACKENDS as READABLE
from engine.runtime.wire import Count, Detokenize, Embed, Render, Reply, Rerank, Tokenize, ToWorker
from engine.types import (
    Embeddings,
    EmbedRequest,
    GenerationRequest,
    LoadOptions,
    Message,
    Ranking,
    RerankRequest,
    Thinking,
    Tool,
)

if TYPE_CHECKING:
    from engine.runtime.ticket import Target


class LocalTexts(LocalParts):
    """What `LocalEngine` inherits of `engine.face.Engine`."""

    async def tokenize(self, model: str, text: str, *, special: bool = True) -> list[int]:
        reply = await self._ask(model, lambda call: Tokenize(call, text, special))
        return list(reply.tokens or ())

    async def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        reply = await self._ask(model, lambda call: Detokenize(call, tuple(tokens)))
        return reply.text or ""

    async def pieces(self, model: str, tokens: Sequence[int]) -> list[bytes]:
        reply = await self._ask(model, lambda call: Detokenize(call, tuple(tokens), apart=True))
        return list(reply.pieces or ())

    async def render(
        self,
        model: str,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        open_turn: bool = True,
        thinking: Thinking | None = None,
        template_args: Mapping[str, Any] | None = None,
    ) -> str:
        asked = looked_at(model, messages, tools, thinking, template_args)
        check(asked)

        async def there() -> str:
            target = await self._find(model)
            whole = completed(asked, target, self._settings)
            return (await self._answer(target, lambda call: Render(call, whole, open_turn))).text or ""

        return await self._on_loop(there())

    async def count(self, request: GenerationRequest) -> int:
        check(request)

        async def there() -> int:
            target = await self._find(request.model, request.backend)
            whole = await self._sources.resolved(completed(request, target, self._settings))
            # How many tokens a picture has is known to the model that looks at it.
            reply = await self._answer(target, lambda call: Count(call, whole), weights=has_images(whole))
            return reply.count or 0

        return await self._on_loop(there())

    async def embed(self, request: EmbedRequest) -> Embeddings:
        check(request)

        async def there() -> Embeddings:
            started = time.monotonic_ns()
            target = await self._find(request.model)
            adapters = await asyncio.to_thread(self._targets.adapters, target, request.adapters)
            reply = await self._supervisor.ask(
                target,
                lambda call: Embed(call, request, adapters),
                options=load_of(request.load, target),
                keep_alive=keep_alive_of(request.keep_alive, target),
            )
            assert reply.embeddings is not None
            total = (time.monotonic_ns() - started) / 1e9
            return replace(reply.embeddings, model=target.id, total_s=total)

        return await self._on_loop(there())

    async def rerank(self, request: RerankRequest) -> Ranking:
        check(request)

        async def there() -> Ranking:
            started = time.monotonic_ns()
            target = await self._find(request.model)
            reply = await self._supervisor.ask(
                target,
                lambda call: Rerank(call, request),
                options=load_of(request.load, target),
                keep_alive=keep_alive_of(request.keep_alive, target),
            )
            assert reply.ranking is not None
            total = (time.monotonic_ns() - started) / 1e9
            return replace(reply.ranking, model=target.id, total_s=total)

        return await self._on_loop(there())

    async def _ask(self, model: str, question: Callable[[int], ToWorker]) -> Reply:
        """The answer of a reader, or of the loaded model where there is one."""

        async def there() -> Reply:
            return await self._answer(await self._find(model), question)

        return await self._on_loop(there())

    async def _answer(
        self, target: Target, question: Callable[[int], ToWorker], *, weights: bool = False
    ) -> Reply:
        """The same, of the loaded model also where the question needs `weights`."""
        readable = target.backend in READABLE and not weights
        if readable and self._supervisor.facts(target.id) is None:
            return await self._readers.ask(target, question)
        return await self._supervisor.ask(
            target, question, options=load_of(LoadOptions(), target), computes=False
        )
