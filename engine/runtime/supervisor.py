"""Runs the places of all models on the engine's loop: loads, hands requests over, buries the dead.

What stays and what leaves is decided in `residency` and `deaths`; here the decisions are carried out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import HearthError, ModelUnavailable, WorkerDied
from engine.runtime import residency
from engine.runtime.backends.base import LoadSpec
from engine.runtime.deaths import try_again
from engine.runtime.host import Host, LoadDied
from engine.runtime.logring import LogRing
from engine.runtime.place import Place
from engine.runtime.scheduler import Limits
from engine.runtime.ticket import Target, Ticket
from engine.runtime.wire import CacheSpec, Cancel, Forget, Load, Reply, Submit, ToWorker
from engine.sampling import resolve
from engine.settings import Settings
from engine.types import LoadedModel, LoadOptions, ModelFacts

BUSY_PATIENCE = 10
"""How many times `stall_seconds` a worker may be silent that computes all the while."""
BUSY_SHARE = 0.1
"""Processor time per second of waiting from which on a silent worker counts as computing."""


class Supervisor:
    """Owner of every worker process. All methods belong on one loop; any thread may call `loaded`."""

    def __init__(self, settings: Settings, log: LogRing, *, screen_attached: bool, kv_folder: Path) -> None:
        self._settings = settings
        self._kv_folder = kv_folder
        self._log = log
        self._screen_attached = screen_attached
        self._places: dict[str, Place] = {}
        self._queue: list[Place] = []
        self._calls = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    # --- requests

    def submit(self, ticket: Ticket, target: Target) -> None:
        """Take a request; from here it ends by an event of its stream."""
        ticket.target = target
        place = self._place(target)
        place.waiting.append(ticket)
        self._arm(ticket)
        if place.state != "ready":
            ticket.loading("waiting" if place.state == "waiting" else "starting")
        self._pump(place)

    def cancel(self, ticket: Ticket) -> None:
        """End a request; one that runs ends when its worker says so, within a step."""
        ticket.cancelled = True
        place = self._places.get(ticket.target.id) if ticket.target is not None else None
        if place is not None and ticket.key in place.running and place.host is not None:
            place.host.send(Cancel(ticket.key))
        else:
            ticket.end("cancelled")

    def ended(self, ticket: Ticket) -> None:
        """Take a request that has its terminal event off the books."""
        if ticket.timer is not None:
            ticket.timer.cancel()
        place = self._places.get(ticket.target.id) if ticket.target is not None else None
        if place is None:
            return
        if ticket in place.waiting:
            place.waiting.remove(ticket)
        elif place.running.pop(ticket.key, None) is None:
            return
        self._used(place, ticket.request.keep_alive)
        if place.state == "loading" and not place.needed:
            self._dismiss(place)
        self._pump(place)

    def _arm(self, ticket: Ticket) -> None:
        """Look after the deadlines of `ticket` until it ends, also when its worker hangs or still loads."""
        moment = ticket.next_deadline()
        if moment is None or ticket.terminal is not None:
            return

        def look() -> None:
            error = ticket.overdue(time.monotonic_ns())
            if ticket.terminal is not None:
                return
            if error is None:
                self._arm(ticket)
                return
            place = self._places[ticket.target.id] if ticket.target is not None else None
            if place is not None and ticket.key in place.running and place.host is not None:
                place.host.send(Cancel(ticket.key))
            ticket.fail(error)

        delay = max(0.0, (moment - time.monotonic_ns()) / 1e9) + 0.001
        ticket.timer = asyncio.get_running_loop().call_later(delay, look)

    # --- calls

    async def load(self, target: Target, options: LoadOptions, keep_alive: float | None) -> ModelFacts:
        """Make a model resident, with `options` where they say something. Raises what the load raises."""
        place = self._place(target)
        future: asyncio.Future[ModelFacts] = asyncio.get_running_loop().create_future()
        if options != LoadOptions() or not place.wanted:
            place.wanted_options = options
        place.wanted.append(future)
        self._pump(place)
        try:
            return await future
        finally:
            if future in place.wanted:
                place.wanted.remove(future)
            self._used(place, keep_alive)

    async def unload(self, model: str) -> None:
        """End everything of `model` as cancelled and free it; returns when its process is gone."""
        place = self._places.get(model)
        if place is None:
            return
        if place.host is not None:
            place.state = "leaving"
        waiting, place.waiting = place.waiting, []
        running, place.running = place.running, {}
        for ticket in [*waiting, *running.values()]:
            ticket.end("cancelled")
        error = ModelUnavailable(f"{place.id} is being unloaded.", fix="Ask again.")
        place.fail_waiting(error)
        place.fail_replies(error)
        place.error = None
        if place.host is not None:
            await self._leave(place)

    async def ask(
        self,
        target: Target,
        question: Callable[[int], ToWorker],
        *,
        options: LoadOptions = LoadOptions(),  # noqa: B008
        keep_alive: float | None = None,
    ) -> Reply:
        """Put a question to a model, loading it (with `options`) if need be. Raises what the answer says."""
        place = self._place(target)
        while place.state != "ready" or place.draining or not place.suits(options):
            # A model that is being loaded otherwise for others may be gone again by the time it is our turn.
            await self.load(target, options, keep_alive)
        host = place.host
        assert host is not None
        self._calls += 1
        call = self._calls
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        place.replies[call] = future
        host.send(question(call))
        try:
            reply = await future
        except asyncio.CancelledError:
            host.send(Forget(call))
            raise
        finally:
            place.replies.pop(call, None)
            self._used(place, place.keep_alive if keep_alive is None else keep_alive)
            self._pump(place)
        if reply.error is not None:
            raise HearthError.from_info(reply.error)
        return reply

    def loaded(self) -> list[LoadedModel]:
        """Every model that is in memory, on its way, or failed when it was last tried."""
        places = list(self._places.values())
        return [place.report() for place in places if place.state != "absent" or place.error is not None]

    def facts(self, model: str) -> ModelFacts | None:
        """What a resident model is; None if it is not resident."""
        place = self._places.get(model)
        return place.facts if place is not None and place.state == "ready" else None

    async def close(self) -> None:
        """End all requests as cancelled, stop all workers, leave no task and no process."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*(self.unload(model) for model in list(self._places)))
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- one place

    def _place(self, target: Target) -> Place:
        place = self._places.get(target.id)
        if place is None:
            place = self._places[target.id] = Place(target)
        place.target = target
        return place

    def _pump(self, place: Place) -> None:
        """Do what can be done for those who wait for the model of `place`."""
        if self._closing:
            place.fail_waiting(ModelUnavailable("Hearth is closing."))
        elif place.state == "ready":
            self._hand_over(place)
        elif place.state == "absent" and place.needed:
            seconds = place.deaths.quarantined_for(time.monotonic_ns())
            if seconds:
                place.fail_waiting(_quarantined(place, seconds))
                return
            place.state = "waiting"
            self._queue.append(place)
        self._grant()

    def _hand_over(self, place: Place) -> None:
        """Give the ready model what waits for it, in order, up to one that needs it loaded otherwise."""
        assert place.host is not None and place.facts is not None
        if place.wanted and not place.draining:
            if place.suits(place.wanted_options):
                wanted, place.wanted = place.wanted, []
                for future in wanted:
                    if not future.done():
                        future.set_result(place.facts)
            else:
                place.draining = True
        while place.waiting and not place.draining:
            ticket = place.waiting[0]
            if not place.suits(ticket.request.load):
                place.draining = True
                break
            del place.waiting[0]
            was_idle = not place.running
            place.running[ticket.key] = ticket
            try:
                place.host.send(self._submit(ticket, place.facts))
            except HearthError as error:
                ticket.fail(error)
                continue
            if was_idle:
                place.last_heard = time.monotonic_ns()
                self._watch(place, place.host)
        if place.draining and not place.running and not place.replies:
            self._dismiss(place)

    def _submit(self, ticket: Ticket, facts: ModelFacts) -> Submit:
        assert ticket.target is not None
        generation = self._settings.generation
        request = ticket.request
        return Submit(
            key=ticket.key,
            request=request,
            sampling=resolve(
                request.sampling, ticket.target.sampling, facts.sampling, generation.sampling_overrides
            ),
            seed=ticket.seed,
            adapters=ticket.adapters,
            submitted=ticket.submitted,
            load=ticket.load,
        )

    async def _load(self, place: Place, host: Host) -> None:
        """Bring the model of `place` in: from loading to ready, or to absent with everybody told why."""
        started = time.monotonic_ns()
        # What calls ask for comes first: requests that need it otherwise reload it when the calls are answered.
        asked = place.wanted_options if place.wanted else LoadOptions()
        first = place.waiting[0].request.load if place.waiting and asked == LoadOptions() else asked
        place.options = self._options(first)
        place.error = None
        runtime = self._settings.runtime
        spec = LoadSpec(
            model=place.target.entry.id,
            path=place.target.entry.path,
            options=place.options,
            screen_attached=self._screen_attached and not runtime.exclusive,
        )
        load = Load(place.target.backend, spec, self._limits(place.options.draft_tokens or 0), self._cache())
        try:
            ready = await host.start(load, passive=not runtime.exclusive)
        except HearthError as error:
            if place.host is not host or place.state != "loading":
                return
            place.state = "leaving"
            if isinstance(error, LoadDied):
                place.deaths.add(time.monotonic_ns())
            place.error = error.info
            place.fail_waiting(error)
            await self._leave(place)
            return
        if place.host is not host or place.state != "loading":
            return
        place.facts, place.memory = ready.facts, ready.memory
        place.state = "ready"
        ended = time.monotonic_ns()
        for ticket in place.waiting:
            ticket.load += ended - max(started, ticket.submitted)
        self._used(place, None)
        self._pump(place)

    def _dismiss(self, place: Place) -> None:
        place.state = "leaving"
        self._start(self._leave(place))

    async def _leave(self, place: Place) -> None:
        """End the worker of `place` and wait until its memory is free."""
        host = place.host
        place.state = "leaving"
        if host is not None:
            await host.stop()
        place.fail_replies(ModelUnavailable(f"{place.id} left before it could answer.", fix="Ask again."))
        if place.host is host:
            place.host, place.draining, place.facts = None, False, None
            place.expires = None
            place.state = "absent"
        self._pump(place)

    def _died(self, place: Place, host: Host, error: WorkerDied) -> None:
        if place.host is not host or place.state == "leaving":
            return
        place.state = "leaving"
        place.deaths.add(time.monotonic_ns())
        place.error = error.info
        self._log.add("error", place.id, error.info.sentence())
        tickets, place.running = list(place.running.values()), {}
        again = []
        for ticket in tickets:
            ticket.deaths += 1
            if ticket.cancelled:
                ticket.end("cancelled")
            elif try_again(ticket.deaths, ticket.shown):
                ticket.loading("starting again")
                again.append(ticket)
            else:
                ticket.fail(error)
        place.waiting[:0] = again
        place.fail_replies(error)
        self._dismiss(place)

    def _host(self, place: Place) -> Host:
        host = Host(
            place.id,
            self._log,
            on_items=place.take_items,
            on_progress=place.take_progress,
            on_reply=place.take_reply,
            on_death=lambda error: self._died(place, host, error),
        )
        return host

    def _watch(self, place: Place, host: Host) -> None:
        """End a worker that has work and says nothing for too long."""
        limit = self._settings.runtime.stall_seconds
        if not limit:
            return

        worked: float | None = None

        def look() -> None:
            nonlocal worked
            if place.host is not host or not place.running or place.state != "ready":
                return
            silent = (time.monotonic_ns() - place.last_heard) / 1e9
            if silent < limit:
                worked = None
                place.watch = loop.call_later(limit - silent + 0.01, look)
                return
            before, worked = worked, host.processor_seconds()
            pause = limit / 4
            if before is None or (worked > before + pause * BUSY_SHARE and silent < limit * BUSY_PATIENCE):
                # A large model on a small machine: one chunk of a prompt may take longer than the limit.
                place.watch = loop.call_later(pause, look)
                return
            self._log.add("error", place.id, f"no step for {silent:.0f} s: the worker hangs and is ended")
            host.kill()

        loop = asyncio.get_running_loop()
        if place.watch is not None:
            place.watch.cancel()
        place.watch = loop.call_later(limit, look)

    # --- all places

    def _grant(self) -> None:
        """Let waiting places load while there is room, making room where that is possible."""
        while self._queue and not self._closing:
            place = self._queue[0]
            if not place.needed:
                place.state = "absent"
                del self._queue[0]
                continue
            verdict = residency.admit(self._residents(), self._settings.runtime.max_models)
            if not verdict.granted:
                if verdict.victim is not None:
                    self._dismiss(self._places[verdict.victim])
                return
            del self._queue[0]
            place.state = "loading"
            place.host = self._host(place)
            self._start(self._load(place, place.host))

    def _residents(self) -> list[residency.Resident]:
        return [
            place.resident()
            for place in self._places.values()
            if place.state in ("loading", "ready", "leaving")
        ]

    def _used(self, place: Place, keep_alive: float | None) -> None:
        """Somebody is done with the model: its keep-alive starts anew."""
        now = time.monotonic_ns()
        place.last_used = now
        place.keep_alive = self._settings.runtime.keep_alive if keep_alive is None else keep_alive
        place.expires = residency.expiry(now, place.keep_alive)
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moment = residency.next_due(self._residents())
        if moment is not None and not self._closing:
            delay = max(0.0, (moment - time.monotonic_ns()) / 1e9)
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        for model in residency.due(self._residents(), time.monotonic_ns()):
            self._dismiss(self._places[model])
        self._schedule()

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.add("error", "engine", f"{type(error).__name__}: {error}")

    # --- from settings

    def _cache(self) -> CacheSpec:
        runtime = self._settings.runtime
        return CacheSpec(
            enabled=runtime.prefix_cache,
            folder=str(self._kv_folder) if runtime.prefix_cache_disk else None,
            limit=int(runtime.prefix_cache_disk_gb * 1e9),
        )

    def _limits(self, draft: int) -> Limits:
        runtime = self._settings.runtime
        return Limits(
            draft=draft,
            chunk=runtime.prefill_chunk,
            busy_chunk=runtime.prefill_chunk_busy,
            answer_reserve=self._settings.generation.answer_reserve,
            queue_interactive=runtime.queue_interactive,
            queue_api=runtime.queue_api,
        )

    def _options(self, said: LoadOptions) -> LoadOptions:
        """`said` over the settings; what neither says is left to the backend."""
        runtime = self._settings.runtime
        values = {name: getattr(said, name) for name in LoadOptions.__struct_fields__}
        defaults = {
            "context": runtime.context,
            "slots": runtime.slots,
            "gpu_layers": runtime.gpu_layers,
            "threads": runtime.threads,
            "batch_threads": runtime.batch_threads,
            "kv_type": runtime.kv_type,
            "flash_attention": runtime.flash_attention,
            "use_mmap": runtime.use_mmap,
            "draft_tokens": runtime.draft_tokens,
        }
        values |= {name: value for name, value in defaults.items() if values[name] is None}
        return LoadOptions(**values)


def _quarantined(place: Place, seconds: float) -> ModelUnavailable:
    last = f" The last time: {place.error.why}" if place.error is not None else ""
    return ModelUnavailable(
        f"{place.id} is not loaded again for {seconds / 60:.0f} minutes.",
        f"Its process died three times in ten minutes.{last}",
        "Check the model file, try other load options, or use another model.",
        param="model",
    )
