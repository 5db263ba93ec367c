"""Carries out what `residency` decides: sends models away, has them give up KV caches, and sees the memory free again.

Owns the places of all models. Belongs on one loop; any thread may look at `places`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Literal

from engine.errors import ModelUnavailable
from engine.library.pools import MAIN, joined, pool_of
from engine.runtime import memory, residency
from engine.runtime.estimates import Estimator
from engine.runtime.logring import LogRing
from engine.runtime.place import Place
from engine.runtime.residency import Plan
from engine.runtime.ticket import Target
from engine.runtime.wire import Shrink
from engine.settings import Settings
from engine.store.rows import ModelEventRow
from engine.types import Device

RECOVERED: Final = 0.75
"""Share of the memory that was to become free after which it counts as free."""
POLL: Final = 0.25
PATIENCE: Final = 5.0
"""Seconds that memory is waited for, and the answer of a worker that is to shrink."""
Reason = Literal["asked", "room", "keep_alive", "reload", "cancelled", "died", "file_changed", "closing"]


class Room:
    """`record` takes the rows of what happens to models; `changed` is called when a place has become another."""

    def __init__(
        self,
        settings: Settings,
        log: LogRing,
        estimator: Estimator,
        *,
        record: Callable[[ModelEventRow], None],
        changed: Callable[[Place], None],
    ) -> None:
        self._settings, self._log, self._estimator = settings, log, estimator
        self._record, self._changed = record, changed
        self.places: dict[str, Place] = {}
        self.closing = False
        self.devices: tuple[Device, ...] = ()
        """Those of this machine, once somebody has looked."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()

    # --- the view

    def place(self, target: Target) -> Place:
        found = self.places.get(target.id)
        if found is None:
            found = self.places[target.id] = Place(target)
        if found.state == "absent":
            found.target = target
        return found

    def adopt(self, settings: Settings) -> None:
        """Go by `settings` from now on."""
        self._settings = settings

    def residents(self) -> list[residency.Resident]:
        return [place.resident() for place in self.places.values() if place.in_memory]

    def free(self) -> dict[str, int]:
        """Bytes by pool that further models may take."""
        runtime = self._settings.runtime
        return memory.free_for_models(
            memory.main_memory(),
            self.devices,
            [place.held() for place in self.places.values() if place.in_memory],
            limit=runtime.memory_limit,
            margin=runtime.memory_margin,
        )

    def attainable(self, *, instead_of: Place | None = None) -> dict[str, int]:
        """Bytes by pool that a model may take once every idle one has left, and the one in `instead_of`."""
        found = self.free()
        for place in self.places.values():
            if place.in_memory and (place is instead_of or place.resident().idle):
                found = {pool: size + place.holds.get(pool, 0) for pool, size in found.items()}
        return found

    async def refresh(self) -> None:
        """Read again how much memory the GPUs have free, where there are any."""
        if any(pool_of(device.name, device.kind) != MAIN for device in self.devices):
            self.devices = await self._estimator.devices_now(self.devices)

    async def look_at_devices(self) -> None:
        """Learn which devices there are, and how much memory they have free."""
        if not self.devices:
            self.devices = await self._estimator.devices()
        else:
            await self.refresh()

    def idle(self) -> tuple[str, ...]:
        """The models that could leave."""
        return tuple(resident.model for resident in self.residents() if resident.idle)

    def others(self, model: str) -> dict[str, Mapping[str, int]]:
        """What the models beside `model` hold that do not make way by themselves."""
        return {
            each.model: each.holds
            for each in self.residents()
            if each.model != model and not each.idle and not each.leaving
        }

    def plan(self, need: Mapping[str, int], *, counted: bool = True, instead_of: Place | None = None) -> Plan:
        """Who makes way for a model that needs `need`; for one that is in memory already, not `counted`.

        `instead_of` is asked about as if its model were not in memory.
        """
        free, residents = self.free(), self.residents()
        if instead_of is not None and instead_of.in_memory:
            free = joined(free, {pool: size for pool, size in instead_of.holds.items() if pool in free})
            residents = [each for each in residents if each.model != instead_of.id]
        return residency.plan_evictions(
            need,
            free,
            residents,
            time.monotonic_ns(),
            most=self._settings.runtime.max_models,
            counted=counted,
        )

    # --- changes

    async def make(self, plan: Plan, need: Mapping[str, int], *, counted: bool = True) -> None:
        """Have those make way that `plan` names, and return when the memory for `need` is really free."""
        before = self.free()
        expected: dict[str, int] = {}
        # Marked at once, so that nobody else plans with them and nothing is handed over to them.
        for name in plan.shrink:
            place = self.places[name]
            expected = joined(expected, place.figures.spare if place.figures is not None else {})
            place.resizing = asyncio.get_running_loop().create_future()
        for name in plan.evict:
            place = self.places[name]
            expected = joined(expected, place.holds)
            place.state = "leaving"
        # Tasks of their own: whoever wanted the room may give up meanwhile.
        work = [self.start(self._shrink(self.places[name])) for name in plan.shrink]
        work += [self.start(self.leave(self.places[name], "room")) for name in plan.evict]
        await asyncio.wait(work)
        await self._settled(need, before, expected, counted=counted)

    async def _shrink(self, place: Place) -> None:
        """Have an idle model give up its KV cache; one that does not is remembered as one that cannot."""
        host = place.host
        assert host is not None and place.resizing is not None
        kept = place.memory.kv_cache + place.memory.compute
        gone = asyncio.ensure_future(host.gone.wait())
        host.send(Shrink())
        try:
            either: set[asyncio.Future[Any]] = {place.resizing, gone}
            await asyncio.wait(either, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            if place.host is host and not gone.done():
                now = place.resizing.result() if place.resizing.done() else None
                place.shrunk = now is not None and now.kv_cache + now.compute < kept
                place.can_shrink = place.shrunk
        finally:
            gone.cancel()
            place.resizing = None
        if place.shrunk:
            self.tell(place, "shrunk", "room")
        self.announce(place)

    def dismiss(self, place: Place, reason: Reason) -> None:
        """Have the model of `place` leave."""
        place.state = "leaving"
        self.start(self.leave(place, reason))

    async def leave(self, place: Place, reason: Reason) -> None:
        """End the worker of `place`, wait until its process is gone, and let everybody know."""
        host = place.host
        place.state = "leaving"
        if host is not None:
            resident = host.resident() if place.facts is not None else 0
            await host.stop()
            if place.facts is not None:
                self.tell(place, "unloaded", reason)
                if place.figures is not None:
                    await self._estimator.learn(place.figures, place.memory, resident)
        place.fail_replies(ModelUnavailable(f"{place.id} left before it could answer.", fix="Ask again."))
        if place.host is host:
            place.clear()
        await self.refresh()
        self.announce(place)

    def tell(self, place: Place, state: str, reason: str, load_seconds: float = 0.0) -> None:
        """Write a row about what happened to the model of `place`."""
        estimate = place.figures.estimate if place.figures is not None else None
        held = place.memory
        self._record(
            ModelEventRow(
                time=time.time(),
                model=place.id,
                backend=place.target.backend,
                state=state,
                reason=reason,
                load_ms=load_seconds * 1e3,
                context=place.facts.context if place.facts is not None else 0,
                slots=place.facts.capabilities.max_slots if place.facts is not None else 0,
                predicted_bytes=estimate.total if estimate is not None else 0,
                actual_bytes=held.weights + held.kv_cache + held.compute,
                predicted_resident=estimate.resident if estimate is not None else 0,
                actual_resident=held.resident,
            )
        )

    @property
    def news(self) -> asyncio.Event:
        """Set when something changes in who holds memory or is busy; take it before looking."""
        return self._news

    def announce(self, place: Place) -> None:
        """Something about `place` has changed that others may wait for."""
        self._wake()
        self._changed(place)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _settled(
        self,
        need: Mapping[str, int],
        before: Mapping[str, int],
        expected: Mapping[str, int],
        *,
        counted: bool,
    ) -> None:
        """Wait until there is room, or most of what was to become free is: drivers and kernels take their time."""
        share = RECOVERED * (1 - self._settings.runtime.memory_margin)
        end = time.monotonic() + PATIENCE
        while not self.plan(need, counted=counted).granted:
            now = self.free()
            if all(now.get(pool, 0) - size >= share * expected.get(pool, 0) for pool, size in before.items()):
                return
            if time.monotonic() > end:
                self._log.add("warning", "engine", "memory of models that made way is still taken")
                return
            await asyncio.sleep(POLL)
            await self.refresh()

    # --- keep-alive

    def used(self, place: Place, keep_alive: float | None) -> None:
        """Somebody is done with the model: its keep-alive starts anew."""
        if place.state == "absent":
            return
        now = time.monotonic_ns()
        place.last_used = now
        if keep_alive is not None:
            place.keep_alive = keep_alive
        elif place.keep_alive is None:
            place.keep_alive = self._settings.runtime.keep_alive
        place.expires = residency.expiry(now, place.keep_alive)
        self._wake()
        self.schedule()

    def schedule(self) -> None:
        """Look again when the next idle model expires."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moment = residency.next_due(self.residents())
        if moment is not None and not self.closing:
            delay = max(0.0, (moment - time.monotonic_ns()) / 1e9)
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        for model in residency.due(self.residents(), time.monotonic_ns()):
            self.dismiss(self.places[model], "keep_alive")
        self.schedule()

    # --- tasks

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work`, and log what it raises."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.add("error", "engine", f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Stop looking, and wait until nothing is under way."""
        self.closing = True
        if self._timer is not None:
            self._timer.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
