"""Brings models in: their files are checked, their memory is estimated, room is made, their workers are started.

Each arrival is one task from beginning to end, so that cancelling it is cancelling the task, whatever it is at. Loads
onto the same device come one after the other; a model that is ready is never behind one of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import HearthError, InsufficientMemory, InternalError, ModelLoadFailed
from engine.library.load_options import meant_for
from engine.library.pools import MAIN, joined, missing
from engine.library.verdicts import largest_window
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.library_settings import library_settings
from engine.runtime.estimates import Estimator, Figures
from engine.runtime.filewatch import FileWatch
from engine.runtime.fits import fits
from engine.runtime.fitting import (
    LEAST_CONTEXT,
    is_automatic,
    judged,
    no_room,
    ran_out,
    smaller,
)
from engine.runtime.host import Host, LoadDied
from engine.runtime.limits import Limits
from engine.runtime.load_defaults import completed
from engine.runtime.place import Place
from engine.runtime.residency import Plan
from engine.runtime.room import Room
from engine.runtime.ticket import Target
from engine.runtime.wire import CacheSpec, Load, Ready
from engine.settings import Settings
from engine.types import Estimate, Fit, LoadOptions

DEVICE_SHARE: Final = 0.05
"""Part of what a model needs from which on it counts as being loaded onto a device."""
CHANGES: Final = 3
"""How many times a file may change while its model is being brought in."""
BUSY_SHARE: Final = 0.02
"""Processor time per second of silence from which on a load counts as moving."""

_LAST_WORDS: Final = ("insufficient memory", "out of memory", "failed to allocate", "std::bad_alloc")
"""What native libraries write before they end a process that got no memory."""


class _Changed(ModelLoadFailed):
    """The file is not the one that was checked."""


class _Tries(Struct):
    """What has been tried to bring a model in."""

    changes: int = 0
    halved: bool = False
    evicted: bool = False


class Arrivals:
    """See `want`, `grow` and `estimate`. `make_host` makes the engine's end of a worker for a place; `kv_folder` is
    where computed prefixes are saved, if they are."""

    def __init__(
        self,
        settings: Settings,
        estimator: Estimator,
        room: Room,
        *,
        make_host: Callable[[Place], Host],
        screen_attached: bool,
        kv_folder: Path,
    ) -> None:
        self._settings, self._estimator, self._room = settings, estimator, room
        self._make_host, self._kv_folder = make_host, kv_folder
        self._beside_a_screen = screen_attached
        self._loading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Held while a model is loaded into a pool of memory."""

    @property
    def _screen_attached(self) -> bool:
        return self._beside_a_screen and not self._settings.runtime.exclusive

    def adopt(self, settings: Settings) -> None:
        """Go by `settings` for models that are wanted from now on."""
        self._settings = settings
        self._room.adopt(settings)
        self._estimator.adopt(settings)

    def want(self, place: Place) -> None:
        """Bring the model of `place`, which is absent, in; those who wait for it hear how it went."""
        place.state, place.error = "arriving", None
        place.arrival = self._room.start(self._arrive(place))

    def grow(self, place: Place) -> None:
        """Find room for the KV cache that the model of `place` has given up, and let it have it again.

        Requests that wait for it are refused where there is none.
        """
        place.resizing = asyncio.get_running_loop().create_future()
        place.growth = self._room.start(self._grow(place))

    async def grown(self, place: Place) -> HearthError | None:
        """Wait until a model has its KV cache again; the refusal where there is no room for it."""
        while place.resizing is not None and place.growth is None:
            # It is giving it up just now.
            await asyncio.wait({place.resizing})
            await asyncio.sleep(0)
        if not place.shrunk:
            return None
        if place.resizing is None:
            self.grow(place)
        if place.growth is not None:
            await asyncio.wait({place.growth})
        return HearthError.from_info(place.refusal) if place.refusal is not None else None

    async def check(self, target: Target) -> None:
        """Have a new file tried. Raises ModelLoadFailed for one that should not be loaded."""
        await self._measured(target, completed(LoadOptions(), self._settings.runtime, target.backend))

    async def estimate(self, target: Target, options: LoadOptions) -> Estimate | None:
        """What loading `target` would take, whether that fits, and who would make way; None if nobody can say.

        Raises ModelLoadFailed for a file that would not load.
        """
        figures = await self._measured(target, completed(options, self._settings.runtime, target.backend))
        if figures is None:
            return None
        place = self._room.places.get(target.id)
        plan = self._room.plan(figures.demand, instead_of=place)
        if not plan.possible and is_automatic(options, self._settings.runtime):
            less = await smaller(figures, plan, options, self._settings.runtime, self._measure(target))
            if less is not None:
                figures, plan = less, self._room.plan(less.demand, instead_of=place)
        room = self._room.attainable(instead_of=place)
        largest = await asyncio.to_thread(self._largest_window, target, figures, room)
        return judged(
            figures, plan, self._room.free(), self._room.others(target.id), target.entry, room, largest
        )

    def _largest_window(self, target: Target, figures: Figures, room: Mapping[str, int]) -> int:
        """The longest window that fits into `room`; 0 if none does, or nobody can say. Reads headers.

        How demand grows is told by the headers; where it stands, by `figures`.
        """
        asked = figures.options
        at = self._estimator.outliner(target, asked, self._room.devices)
        if at is None or asked.cells is not None:
            return 0
        base = at(figures.shape.context)
        more = {pool: size - base.demand.get(pool, 0) for pool, size in figures.demand.items()}

        def demand_at(context: int) -> dict[str, int]:
            return joined(at(context).demand, more)

        return largest_window(demand_at, room, base.trained or figures.shape.context)

    async def fits(self, wanted: Sequence[tuple[Target, LoadOptions]], *, windows: bool = True) -> list[Fit]:
        """Whether each target would fit, loaded with the options beside it, by headers alone; see `fits.fits`."""
        await self._room.look_at_devices()
        room, devices, runtime = self._room.attainable(), self._room.devices, self._settings.runtime
        asked = [
            (target, meant_for(target.backend, completed(options, runtime, target.backend)))
            for target, options in wanted
        ]
        return await asyncio.to_thread(fits, self._estimator, asked, devices, room, runtime, windows=windows)

    # --- one arrival

    async def _arrive(self, place: Place) -> None:
        try:
            await self._bring(place)
        except asyncio.CancelledError:
            if place.host is not None:
                self._room.tell(place, "failed", "cancelled")
            await self._give_up(place)
        except HearthError as error:
            if isinstance(error, LoadDied):
                place.deaths.add(time.monotonic_ns())
            place.state, place.error = "leaving", error.info
            self._room.tell(place, "failed", error.info.code)
            place.fail_waiting(error)
            await self._give_up(place)
        except Exception as error:
            defect = InternalError(f"{place.id} could not be loaded.", f"{type(error).__name__}: {error}")
            place.state, place.error = "leaving", defect.info
            place.fail_waiting(defect)
            await self._give_up(place)
            raise
        else:
            place.arrival = None
            self._room.announce(place)

    async def _give_up(self, place: Place) -> None:
        place.arrival, place.facts = None, None
        await self._room.leave(place, "cancelled")

    async def _bring(self, place: Place) -> None:
        """From absent to ready. Raises what keeps the model from being loaded."""
        runtime = self._settings.runtime
        place.target = place.asked_target()
        asked = place.asked = place.asked_options()
        options = completed(asked, runtime, place.target.backend)
        if place.narrowed is not None and is_automatic(asked, runtime):
            options = replace(options, context=place.narrowed)
        place.narrowed = None
        place.forced = any(call.force for call in place.wanted)
        tries = _Tries()
        figures = await self._measured(place.target, options, place)
        while True:
            # Told with the model from now on.
            place.figures = figures
            news = self._room.news
            async with self._alone(figures):
                await self._room.refresh()
                plan = self._room.plan(figures.demand if figures is not None else {})
                if plan.granted:
                    try:
                        await self._load(place, options, figures)
                        return
                    except _Changed:
                        tries.changes += 1
                        if tries.changes > CHANGES:
                            raise
                        figures = await self._measured(place.target, options, place)
                        continue
                    except HearthError as error:
                        if figures is None or not _wants_memory(error):
                            raise
                        await self._dropped(place)
                        figures = await self._after_want(place, figures, asked, tries, error)
                        options = figures.options
                        continue
                if plan.shrink or plan.evict:
                    place.tell("waiting")
                    await self._room.make(plan, figures.demand if figures is not None else {})
                    continue
            if plan.waits:
                place.tell("waiting")
                await news.wait()
                continue
            less = None
            if figures is not None and plan.short:
                less = await smaller(figures, plan, asked, runtime, self._measure(place.target, place))
            if less is None and figures is not None and plan.short and place.forced:
                await self._force(place, asked, figures)
                return
            if less is None:
                raise no_room(place.id, figures, plan, self._room.others(place.id))
            figures, options = less, less.options

    async def _force(self, place: Place, asked: LoadOptions, figures: Figures) -> None:
        """Load a model that does not fit by the figures, in the least window where nobody asked for one.

        Every idle model leaves first. Raises what the load raises.
        """
        if is_automatic(asked, self._settings.runtime):
            least = replace(figures.options, context=LEAST_CONTEXT)
            figures = await self._measured(place.target, least, place) or figures
        place.figures = figures
        async with self._alone(figures):
            if idle := self._room.idle():
                await self._room.make(Plan(evict=idle), {})
            try:
                await self._load(place, figures.options, figures)
            except HearthError as error:
                if not _wants_memory(error):
                    raise
                await self._room.refresh()
                raise ran_out(
                    place.id, figures, self._room.free(), self._room.others(place.id), error
                ) from None

    async def _after_want(
        self, place: Place, figures: Figures, asked: LoadOptions, tries: _Tries, error: HearthError
    ) -> Figures:
        """What to load after memory ran out in a load: a smaller window once, then without the idle models once."""
        if is_automatic(asked, self._settings.runtime) and not tries.halved:
            tries.halved = True
            found = await self._narrower(place, figures)
            if found is not None:
                return found
        idle = self._room.idle()
        if idle and not tries.evicted:
            tries.evicted = True
            await self._room.make(Plan(evict=idle), figures.demand)
            return figures
        await self._room.refresh()
        raise ran_out(place.id, figures, self._room.free(), self._room.others(place.id), error)

    async def _narrower(self, place: Place, figures: Figures) -> Figures | None:
        """Half the window, or less where that would still not fit into what is free now; None below the least."""
        found = None
        context = figures.estimate.context // 2
        while context >= LEAST_CONTEXT:
            found = await self._measured(place.target, replace(figures.options, context=context), place)
            if found is None or not missing(found.demand, self._room.free()):
                break
            context //= 2
        return found

    async def _load(self, place: Place, options: LoadOptions, figures: Figures | None) -> None:
        """Start the worker: from arriving to ready. Raises what the load raises; the worker is then still there."""
        started = time.monotonic_ns()
        place.options = options
        identity = figures.identity if figures is not None else None
        if identity is not None:
            watch = FileWatch(identity)
            if not await self._estimator.unchanged(identity):
                watch.close()
                raise self._changed(place)
            place.files = watch
        place.state = "loading"
        place.tell("starting")
        host = place.host = self._make_host(place)
        spec = LoadSpec(
            model=place.target.entry.id,
            path=place.target.entry.path,
            options=options,
            projector=place.target.entry.projector,
            placement=figures.placement if figures is not None else None,
            planned=figures is not None and figures.planned,
            screen_attached=self._screen_attached,
            libraries=library_settings(self._settings),
        )
        draft = figures.draft if figures is not None else None
        load = Load(place.target.backend, spec, self._limits(options), self._cache(), draft=draft)
        ready = await self._started(place, host, load)
        if identity is not None and not await self._estimator.unchanged(identity):
            await self._dropped(place)
            raise self._changed(place)
        if place.host is not host or place.state != "loading":
            raise ModelLoadFailed(
                f"The process of {place.id} ended as soon as the model was loaded.",
                place.error.why if place.error is not None else "",
                "Ask again; if it happens again, try other load options.",
                param="model",
            )
        if place.files is not None and options.use_mmap is False:
            # What was read cannot be changed any more.
            place.files.close()
        place.facts, place.memory = ready.facts, ready.memory
        place.state, place.stage = "ready", None
        ended = time.monotonic_ns()
        place.load_seconds = (ended - started) / 1e9
        for ticket in place.waiting:
            ticket.load += ended - max(started, ticket.submitted)
        self._room.tell(place, "loaded", "", place.load_seconds)
        self._room.used(place, None)

    async def _started(self, place: Place, host: Host, load: Load) -> Ready:
        """The answer of the worker; one that neither says nor does anything for too long is ended."""
        runtime = self._settings.runtime
        starting = asyncio.ensure_future(host.start(load, passive=not runtime.exclusive))
        # It may fail when nobody waits for it any more.
        starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        heard, effort = place.last_heard, host.effort()
        while True:
            done, _ = await asyncio.wait({starting}, timeout=runtime.stall_seconds or None)
            if done:
                return starting.result()
            before = effort
            effort = host.effort()
            moved = (
                place.last_heard != heard
                or effort.seconds - before.seconds > BUSY_SHARE * runtime.stall_seconds
                or effort.bytes_read != before.bytes_read
            )
            heard = place.last_heard
            if not moved:
                host.kill()
                raise ModelLoadFailed(
                    f"Loading {place.id} came to nothing.",
                    f"Its process did nothing for {runtime.stall_seconds:g} s.",
                    "Try again; if the file lies on a network, copy it to this machine.",
                    param="model",
                )

    async def _dropped(self, place: Place) -> None:
        """The worker of a load that did not succeed is gone; the model is still arriving."""
        host, place.host = place.host, None
        if host is not None:
            await host.stop()
        if place.files is not None:
            place.files.close()
            place.files = None
        place.state = "arriving"

    def _changed(self, place: Place) -> _Changed:
        return _Changed(
            f"{place.id} is not loaded: its file keeps changing.",
            f"{place.target.entry.path} was written while it was being loaded.",
            "Wait until whatever writes the file is done, then try again.",
            param="model",
        )

    # --- KV caches that come back

    async def _grow(self, place: Place) -> None:
        place.refusal = None
        try:
            figures = place.figures
            need = figures.spare if figures is not None else {}
            while place.state == "ready":
                news = self._room.news
                async with self._alone(figures):
                    await self._room.refresh()
                    plan = self._room.plan(need, counted=False)
                    if plan.granted or (place.forced and not plan.possible):
                        place.shrunk = False
                        return
                    if plan.shrink or plan.evict:
                        place.tell("waiting")
                        await self._room.make(plan, need, counted=False)
                        continue
                if not plan.waits:
                    error = no_room(place.id, figures, plan, self._room.others(place.id))
                    place.refusal = error.info
                    place.fail_waiting(error)
                    return
                place.tell("waiting")
                await news.wait()
        finally:
            place.resizing = place.growth = None
            self._room.announce(place)

    # --- measuring

    async def _measured(
        self, target: Target, options: LoadOptions, place: Place | None = None
    ) -> Figures | None:
        if target.backend != "scripted":
            await self._room.look_at_devices()
        return await self._estimator.figures(
            target,
            options,
            self._room.devices,
            screen_attached=self._screen_attached,
            tell=place.tell if place is not None else lambda stage: None,
        )

    def _measure(
        self, target: Target, place: Place | None = None
    ) -> Callable[[LoadOptions], Awaitable[Figures | None]]:
        return lambda options: self._measured(target, options, place)

    @asynccontextmanager
    async def _alone(self, figures: Figures | None) -> AsyncIterator[None]:
        """No other model is loaded meanwhile onto the devices that take a real part of this one."""
        demand = figures.demand if figures is not None else {}
        total = sum(demand.values())
        touched = {pool for pool, size in demand.items() if size > DEVICE_SHARE * total} or {MAIN}
        async with AsyncExitStack() as stack:
            for pool in sorted(touched):
                await stack.enter_async_context(self._loading[pool])
            yield

    def _limits(self, options: LoadOptions) -> Limits:
        runtime = self._settings.runtime
        return Limits(
            draft=options.draft_tokens or 0,
            chunk=runtime.prefill_chunk,
            busy_chunk=runtime.prefill_chunk_busy,
            answer_reserve=self._settings.generation.answer_reserve,
            queue_interactive=runtime.queue_interactive,
            queue_api=runtime.queue_api,
        )

    def _cache(self) -> CacheSpec:
        runtime = self._settings.runtime
        return CacheSpec(
            enabled=runtime.prefix_cache,
            folder=str(self._kv_folder) if runtime.prefix_cache_disk else None,
            limit=int(runtime.prefix_cache_disk_gb * 1e9),
        )


def _wants_memory(error: HearthError) -> bool:
    """Whether a load failed because memory ran out: the library said so, be it with its last words, or was killed."""
    if isinstance(error, LoadDied):
        said = error.why.lower()
        return error.exit_code == -9 or any(words in said for words in _LAST_WORDS)
    return isinstance(error, InsufficientMemory)
