"""`LocalEngine`: the engine in this process, its models in worker processes.

The parent side of all workers lives on one asyncio loop: on a thread of its own beside a screen, so that a
busy screen never delays a stream, or on the caller's loop in a headless server. Calls from elsewhere are
carried over.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from engine.checking import check
from engine.conversations.local import LocalConversations
from engine.errors import HearthError, InternalError, InvalidRequest, ModelLoadFailed, Unsupported
from engine.jobs.local import LocalJobs
from engine.library.load_options import meant_for
from engine.library.uses import Uses
from engine.local_aliases import LocalAliases
from engine.local_hardware import LocalHardware
from engine.local_hub import LocalHub
from engine.local_loop import LocalLoop
from engine.local_metrics import LocalMetrics
from engine.media import Sources, has_images
from engine.paths import Paths, resolve
from engine.runtime.backends.script import PREFIX
from engine.runtime.completing import completed, keep_alive_of, load_of, looked_at
from engine.runtime.estimates import Estimator
from engine.runtime.fits import in_order
from engine.runtime.log_handler import RingHandler
from engine.runtime.logring import LogRing
from engine.runtime.readers import BACKENDS as READABLE
from engine.runtime.readers import Readers
from engine.runtime.supervisor import Supervisor
from engine.runtime.targets import Targets
from engine.runtime.ticket import Target, Ticket
from engine.runtime.wire import (
    Count,
    Detokenize,
    Embed,
    Render,
    Reply,
    Rerank,
    Tokenize,
    ToWorker,
)
from engine.settings import Settings
from engine.store.rows import ModelEventRow, refused_row
from engine.stream import EventStream
from engine.types import (
    BackendName,
    Done,
    Embeddings,
    EmbedRequest,
    Estimate,
    Failed,
    Fit,
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
    Thinking,
    Tool,
)

_T = TypeVar("_T")


class LocalEngine(LocalLoop, LocalHub, LocalAliases, LocalMetrics, LocalHardware):
    """See `engine.face.Engine`. Making one is cheap: the thread starts at the first call.

    `thread=True` gives it a background thread; else it lives on the loop of its first call. `screen_attached`
    makes models leave a core to the screen. `paths` is for tests; else the environment says where things are.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        screen_attached: bool = True,
        thread: bool = True,
        paths: Paths | None = None,
    ) -> None:
        self._settings = settings if settings is not None else Settings()
        self._paths = paths if paths is not None else resolve()
        self._open_loop(threaded=thread)
        self._log = LogRing(self._settings.log.level, redact=self._settings.log.redact)
        self._listener = RingHandler(self._log)
        if screen_attached or logging.getLogger("hearth").handlers:
            # A command of the plain terminal has its warnings on stderr, which a handler would take them from.
            self._listener.attach()
        self._targets = Targets(self._settings, self._paths)
        self._supervisor = Supervisor(
            self._settings,
            self._log,
            Estimator(self._settings, self._paths, self._log, self._targets),
            record=self._record_event,
            screen_attached=screen_attached,
            kv_folder=self._paths.cache / "kv",
        )
        self._readers = Readers(self._settings, self._log, self._supervisor.check)
        self._sources = Sources(self._settings.media)
        self._open_hub()
        self._open_hardware()
        self._known: dict[tuple[str, str], tuple[object, Target]] = {}
        """Targets of resident models by name and backend, with the stamp of the files by which they were found."""
        self._uses = Uses(self._paths.uses_file)
        self._tickets: dict[str, Ticket] = {}
        self._keys = itertools.count(1)
        self._open_metrics()
        self.conversations = LocalConversations(self._paths)
        self.jobs = LocalJobs(self.conversations, lambda: self._settings, self._paths, start=self._start_jobs)
        self._tasks: set[asyncio.Task[None]] = set()

    # --- requests

    def generate(self, request: GenerationRequest) -> EventStream:
        stream = EventStream(request.id or uuid.uuid4().hex, lambda: self._call(self._cancel_stream, stream))
        try:
            ticket = Ticket(next(self._keys), request, stream, self._ended)
            with self._starting:
                loop = self._running_loop()
                if self._tickets.setdefault(stream.id, ticket) is not ticket:
                    raise InvalidRequest(f"There is a running request {stream.id!r} already.", param="id")
                loop.call_soon_threadsafe(self._begin, ticket)
        except HearthError as error:
            refusal = Failed(error=error.info)
            with self._starting:
                if not self._closed:
                    self._store().record(refused_row(request, refusal, stream.id))
            stream.push(refusal)
        return stream

    async def cancel(self, request_id: str) -> bool:
        async def there() -> bool:
            return self._cancel_now(request_id)

        return await self._on_loop(there())

    def running(self) -> list[RunningRequest]:
        return [ticket.running() for ticket in list(self._tickets.values())]

    # --- models

    async def load(
        self,
        model: str,
        options: LoadOptions | None = None,
        *,
        keep_alive: float | None = None,
        force: bool = False,
    ) -> None:
        check(options or LoadOptions())

        async def there() -> None:
            target = await self._find(model)
            await self._supervisor.load(
                target,
                load_of(options or LoadOptions(), target),
                keep_alive_of(keep_alive, target),
                force=force,
            )

        await self._on_loop(there())

    async def unload(self, model: str) -> bool:
        async def there() -> bool:
            names, problem = {model}, None
            try:
                names.add((await self._find(model)).id)
            except (ModelLoadFailed, Unsupported):
                # It is there, and will not do.
                pass
            except HearthError as error:
                # It may be gone from the catalog and still in memory under this very name.
                problem = error
            left = [await self._supervisor.unload(name) for name in names]
            if problem is not None and not any(left):
                raise problem
            return any(left)

        return await self._on_loop(there())

    async def estimate(self, model: str, options: LoadOptions | None = None) -> Estimate:
        check(options or LoadOptions())

        async def there() -> Estimate:
            target = await self._find(model)
            found = await self._supervisor.estimate(target, load_of(options or LoadOptions(), target))
            if found is None:
                raise Unsupported(
                    f"What {target.id} would need cannot be said before it is loaded.",
                    f"Its backend ({target.backend}) has no way to tell.",
                    param="model",
                )
            return found

        return await self._on_loop(there())

    async def fits(
        self, models: Sequence[str] | None = None, options: LoadOptions | None = None
    ) -> list[Fit]:
        check(asked := options or LoadOptions())
        targets = self._targets.runnable(await self.models())
        wanted = [(target, load_of(meant_for(target.backend, asked), target)) for target in targets]
        return in_order(await self._on_loop(self._supervisor.fits(wanted)), models)

    def adopt(self, settings: Settings) -> None:
        # Whoever is at work has read what it needs, and the rest reads it anew each time.
        self._settings = settings
        self._supervisor.adopt(settings)
        self._readers.adopt(settings)

    async def pin(self, model: str) -> None:
        await self._set_pinned(model, True)

    async def unpin(self, model: str) -> None:
        await self._set_pinned(model, False)

    async def _set_pinned(self, model: str, pinned: bool) -> None:
        async def there() -> None:
            self._supervisor.pin(await self._find(model), pinned=pinned)

        await self._on_loop(there())

    def loaded(self) -> list[LoadedModel]:
        return self._supervisor.loaded()

    async def models(self) -> list[ModelEntry]:
        return await asyncio.to_thread(lambda: list(self._targets.catalog.entries()))

    async def facts(self, model: str) -> ModelFacts:
        async def there() -> ModelFacts:
            target = await self._find(model)
            if target.backend in READABLE:
                return await self._facts_of(target)
            known = self._supervisor.facts(target.id)
            return known or await self._supervisor.load(target, load_of(LoadOptions(), target), None)

        return await self._on_loop(there())

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

    # --- records

    def logs(self, limit: int = 500) -> list[LogLine]:
        return self._log.shown(limit)

    async def _start_jobs(self) -> None:
        async def there() -> None:
            self.jobs.start(self)

        await self._on_loop(there())

    # --- its own life

    async def close(self) -> None:
        """End streams, stop workers, write what is pending; a second call does nothing."""
        with self._starting:
            already, self._closed = self._closed, True
        if already:
            return
        await self._hub.close()
        if self._loop is not None:
            await self._carry(self._shut())
        await asyncio.to_thread(self._watch.close)
        await self._end_thread()
        if self._metrics is not None:
            await asyncio.to_thread(self._metrics.close)
        await self.conversations.close()
        self._listener.detach()

    def _loop_began(self) -> None:
        self._watch.start()

    async def _shut(self) -> None:
        await self.jobs.stop()
        for ticket in list(self._tickets.values()):
            if ticket.target is None:
                ticket.end("cancelled")
        await self._readers.close()
        await self._supervisor.close()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        # The rows of the requests that just ended are written by callbacks that are due now.
        await asyncio.sleep(0)

    # --- on the engine's loop

    def _begin(self, ticket: Ticket) -> None:
        task = ticket.task = asyncio.get_running_loop().create_task(self._submit(ticket))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _submit(self, ticket: Ticket) -> None:
        """Find the model and hand the request on; looking into folders must not hold up the loop."""
        request = ticket.request
        try:
            target = await self._find(request.model, request.backend)
            # Naming adapters looks into files; the name's own are known already.
            ticket.adapters = (
                await asyncio.to_thread(self._targets.adapters, target, request.adapters)
                if request.adapters
                else self._targets.adapters(target, request.adapters)
            )
            if ticket.terminal is not None:
                return
            if not (request.messages or request.prompt is not None or request.tokens is not None):
                await self._load_only(ticket, target)
                return
            # Addresses may take their time, which counts.
            self._supervisor.watch(ticket)
            ticket.request = await self._sources.resolved(completed(request, target, self._settings))
            self._supervisor.submit(ticket, target)
        except HearthError as error:
            ticket.fail(error)
        except Exception as error:
            ticket.fail(
                InternalError("The request could not be started.", f"{type(error).__name__}: {error}")
            )

    async def _find(self, name: str, backend: BackendName = "auto") -> Target:
        """The target of `name`; looking happens off the loop.

        A resident model is not looked up again, until the files of aliases and prompts change.
        """
        stamp = self._targets.stamp()
        before, known = self._known.get((name, backend), (None, None))
        if known is not None and before == stamp and self._supervisor.facts(known.id) is not None:
            return known
        target = await asyncio.to_thread(self._targets.find, name, backend)
        self._known[name, backend] = stamp, target
        return target

    async def _load_only(self, ticket: Ticket, target: Target) -> None:
        """A request that says nothing to read: it loads the model, or unloads it with a keep-alive of 0."""
        request = ticket.request
        if request.keep_alive == 0:
            await self._supervisor.unload(target.id)
            ticket.end("unloaded")
            return
        await self._supervisor.load(
            target,
            load_of(request.load, target),
            keep_alive_of(request.keep_alive, target),
            ticket.loading,
        )
        ticket.end("loaded")

    def _cancel_stream(self, stream: EventStream) -> None:
        """Cancel the request of `stream`, not a later one that has been given the same id."""
        ticket = self._tickets.get(stream.id)
        if ticket is not None and ticket.stream is stream:
            self._supervisor.cancel(ticket)

    def _cancel_now(self, request_id: str) -> bool:
        ticket = self._tickets.get(request_id)
        if ticket is None:
            return False
        self._supervisor.cancel(ticket)
        return True

    def _ended(self, ticket: Ticket) -> None:
        self._tickets.pop(ticket.stream.id, None)
        self._supervisor.ended(ticket)
        if ticket.task is not None and ticket.task is not asyncio.current_task():
            # Whatever it still waits for, nobody wants it any more.
            ticket.task.cancel()
        # The reader has the terminal event; the row is made and written behind its back.
        self._call(self._record, ticket)

    def _record_event(self, row: ModelEventRow) -> None:
        self._store().record(row)
        if row.state in ("loaded", "unloaded"):
            self._note_use(row.model)

    def _note_use(self, model: str) -> None:
        """Write down that it is used, behind everybody's back."""
        if not model.startswith(PREFIX) and self._uses.is_due(model):
            task = asyncio.get_running_loop().create_task(asyncio.to_thread(self._uses.note, model))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _record(self, ticket: Ticket) -> None:
        if ticket.target is not None and isinstance(ticket.terminal, Done):
            self._note_use(ticket.target.id)
        self._record_ended(ticket)

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
