"""`LocalEngine`: the engine in this process, its models in worker processes.

The parent side of all workers lives on one asyncio loop: on a thread of its own beside a screen, so that a
busy screen never delays a stream, or on the caller's loop in a headless server. Calls from elsewhere are
carried over.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid

from engine.conversations.local import LocalConversations
from engine.errors import HearthError, InternalError, InvalidRequest
from engine.jobs.local import LocalJobs
from engine.library.uses import Uses
from engine.local_aliases import LocalAliases
from engine.local_hardware import LocalHardware
from engine.local_hub import LocalHub
from engine.local_metrics import LocalMetrics
from engine.local_models import LocalModels
from engine.local_texts import LocalTexts
from engine.media import Sources
from engine.paths import Paths, resolve
from engine.runtime.backends.script import PREFIX
from engine.runtime.completing import completed, keep_alive_of, load_of
from engine.runtime.estimates import Estimator
from engine.runtime.log_handler import RingHandler
from engine.runtime.logring import LogRing
from engine.runtime.readers import Readers
from engine.runtime.supervisor import Supervisor
from engine.runtime.targets import Targets
from engine.runtime.ticket import Target, Ticket
from engine.settings import Settings
from engine.store.rows import ModelEventRow, refused_row
from engine.stream import EventStream
from engine.types import Done, Failed, GenerationRequest, LogLine, RunningRequest


class LocalEngine(LocalModels, LocalTexts, LocalHub, LocalAliases, LocalMetrics, LocalHardware):
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
        self._open_models()
        self._open_hub()
        self._open_hardware()
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

    # --- records

    def logs(self, limit: int = 500) -> list[LogLine]:
        return self._log.shown(limit)

    async def _start_jobs(self) -> None:
        async def there() -> None:
            self.jobs.start(self)

        await self._on_loop(there())

    # --- its own life

    def adopt(self, settings: Settings) -> None:
        # Whoever is at work has read what it needs, and the rest reads it anew each time.
        self._settings = settings
        self._supervisor.adopt(settings)
        self._readers.adopt(settings)

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
