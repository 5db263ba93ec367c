"""What loading a model would take: trial of its file, arithmetic over its header, and what earlier loads taught.

Nothing is decided here. The figures go to `residency`, which decides who makes way, and to people.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import HearthError, ModelLoadFailed
from engine.hardware.gpus import Gpus
from engine.hardware.video_memory import refreshed
from engine.library.devices import gpu_layers, left_by, usable
from engine.library.folder_split import Placement
from engine.library.identity import Identity, Stamp, identity_of, stamps_of
from engine.library.pools import demand, pool_of
from engine.library.shape import ContextShape, context_shape
from engine.paths import Paths
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.library_settings import library_settings
from engine.runtime.drafts import draft_of, options_of, together
from engine.runtime.logring import LogRing
from engine.runtime.outlines import At, outline_of_script, outliner, projector_bytes, with_projector
from engine.runtime.probes import Probes, build
from engine.runtime.targets import Targets
from engine.runtime.ticket import Target
from engine.runtime.wire import Draft
from engine.settings import Settings
from engine.store.notes import Notes
from engine.types import Device, DeviceNeed, Estimate, LoadOptions, MemoryUse

LEAST_FACTOR: Final = 0.5
MOST_FACTOR: Final = 2.0
"""How far what earlier loads took may pull a prediction."""
LEAST_RESIDENT_FACTOR: Final = 0.9
"""The same for the resident set downwards: buffers that a short life has not touched are promised all the same."""
_IDENTITIES: Final = 64
"""How many files' hashes are remembered."""
Tell = Callable[[str], None]


class Figures(Struct, frozen=True, kw_only=True):
    """What a model would take, for decisions: `demand` and `spare` in bytes by pool of memory."""

    estimate: Estimate
    options: LoadOptions
    """What it would be loaded with, settings filled in."""
    shape: ContextShape
    layers: int = 0
    demand: Mapping[str, int]
    spare: Mapping[str, int]
    """How much of it is KV cache and buffers, which can be given up without the weights."""
    identity: Identity | None = None
    """The files as they were; None for a model without files."""
    key: str = ""
    """What is learnt from the load is kept under this."""
    draft: Draft | None = None
    """The model that is to guess for it, which is in these figures."""
    placement: Placement | None = None
    """Where each layer of a model folder is to go; None: all to one device."""

    @property
    def planned(self) -> bool:
        """Whether a load is to go by that: not where GPUs may be that only the library of the model knows."""
        return self.placement is not None or any(each.kind == "gpu" for each in self.estimate.devices)

    quantises_kv: bool = True
    """Whether keys and values could be kept in fewer bits."""
    resident_factor: float = 1.0
    """The correction that is in `estimate.resident`, beside that of the allocations."""


class Observed(Struct, frozen=True):
    """What a load took, over what had been predicted for it without corrections."""

    allocated: float
    """By the allocator's own figures."""
    resident: float


class Estimator:
    """Makes the figures of models. Belongs on one loop; disk work happens off it."""

    def __init__(self, settings: Settings, paths: Paths, log: LogRing, targets: Targets) -> None:
        self._settings, self._targets = settings, targets
        self._probes = Probes(paths, log)
        self._observed: Notes[Observed] = Notes(paths.calibration_file, Observed)
        self._identities: dict[tuple[Stamp, ...], Identity] = {}
        self._gpus = Gpus()

    def adopt(self, settings: Settings) -> None:
        """Go by `settings` from now on."""
        self._settings = settings

    async def figures(
        self,
        target: Target,
        options: LoadOptions,
        devices: tuple[Device, ...] = (),
        *,
        screen_attached: bool,
        tell: Tell = lambda stage: None,
    ) -> Figures | None:
        """What loading `target` with `options` onto `devices` would take; None for a backend that cannot say.

        A draft model that `options` name is in it. `tell` hears of the stages that take time. Raises ModelLoadFailed
        for a file that would not load, and ModelNotFound or Unsupported for a draft model that cannot be used.
        """
        draft = await asyncio.to_thread(draft_of, self._targets, options, target.backend)
        main = await self._alone(target, options, devices, screen_attached, tell)
        if draft is None or main is None:
            return main
        held = options_of(draft, options, main.shape, self._settings.runtime)
        beside = await self._alone(draft, held, devices, screen_attached, tell)
        if beside is None:
            return main
        spec = LoadSpec(
            model=draft.id,
            path=draft.entry.path,
            options=held,
            placement=beside.placement,
            planned=beside.planned,
            screen_attached=screen_attached,
            libraries=library_settings(self._settings),
        )
        return together(main, beside, Draft(draft.backend, spec), target.backend)

    async def _alone(
        self,
        target: Target,
        options: LoadOptions,
        devices: tuple[Device, ...],
        screen_attached: bool,
        tell: Tell,
    ) -> Figures | None:
        if target.backend == "scripted":
            return _scripted(target, options)
        if target.backend in ("transformers", "mlx"):
            tell("checking")
            return await self._folder(target, options, devices, tell)
        if target.backend != "llama":
            return None
        tell("checking")
        return await self._gguf(target, options, devices, screen_attached, tell)

    def looked_at_once(self) -> AbstractContextManager[None]:
        """Within it this thread looks for draft models by one look at the folders: for many outlines."""
        return self._targets.catalog.looked_at_once()

    def outliner(self, target: Target, options: LoadOptions, devices: tuple[Device, ...]) -> At | None:
        """What loading `target` would take by its headers alone, which are read for it: see `outlines.outliner`."""
        return outliner(self._targets, target, options, devices, self._settings.runtime)

    async def unchanged(self, identity: Identity) -> bool:
        """Whether the files are still those of `identity`, or were when somebody looked a moment ago."""
        try:
            stamps = await asyncio.to_thread(stamps_of, [Path(each.path) for each in identity.stamps])
        except ModelLoadFailed:
            return False
        return stamps == identity.stamps

    async def devices(self) -> tuple[Device, ...]:
        """The devices of this machine, GPUs with the memory that is free now; the CPU where nothing can be asked."""
        try:
            return await self._probes.devices()
        except HearthError:
            return (Device(name="CPU"),)

    async def devices_now(self, known: tuple[Device, ...]) -> tuple[Device, ...]:
        """`known` with what is free on them now: by the drivers' word where that is clear, else asked anew."""
        gpus = await asyncio.to_thread(self._gpus.read)
        return refreshed(known, gpus, os.environ) or await self.devices()

    async def learn(self, figures: Figures, memory: MemoryUse, resident: int) -> None:
        """Remember what a load really took; it corrects the next estimate of the same model in the same way."""
        actual = memory.weights + memory.kv_cache + memory.compute
        estimate = figures.estimate
        if not figures.key or actual <= 0 or estimate.total <= 0 or estimate.resident <= 0:
            return
        seen = Observed(
            allocated=round(estimate.correction * actual / estimate.total, 3),
            resident=round(
                figures.resident_factor * (resident / estimate.resident if resident > 0 else 1.0), 3
            ),
        )
        await asyncio.to_thread(self._observed.put, figures.key, seen)

    async def _gguf(
        self,
        target: Target,
        options: LoadOptions,
        devices: tuple[Device, ...],
        screen_attached: bool,
        tell: Tell,
    ) -> Figures:
        from engine.library import fit
        from engine.library.dimensions import dimensions_of
        from engine.library.gguf_parts import parts_of

        devices = left_by(usable(devices, target.backend), options.device) if devices else ()
        path = Path(target.entry.path)
        stamps = await asyncio.to_thread(lambda: stamps_of(parts_of(path)))
        headers = await asyncio.to_thread(self._targets.catalog.headers, target.entry)
        identity = await self._identity(stamps, [header.size for header in headers])
        dimensions = dimensions_of(headers[0])
        shape = context_shape(options, dimensions.context)
        spec = LoadSpec(
            model=target.id, path=target.entry.path, options=options, screen_attached=screen_attached
        )
        way = _named(shape, options, devices)
        dry_run = None
        if self._settings.runtime.probe:
            dry_run = await self._probes.find(
                spec,
                identity,
                way=way,
                matrices=fit.matrices(headers),
                vocabulary=dimensions.vocabulary,
                news=lambda: tell("estimating"),
            )
        need = fit.needs(
            headers,
            dimensions,
            shape,
            devices,
            kv_type=options.kv_type,
            flash_attention=options.flash_attention,
            gpu_layers=gpu_layers(options),
            split=options.split,
            mapped=options.use_mmap is not False,
            dry_run=dry_run,
        )
        if target.entry.projector is not None:
            projectors = self._targets.catalog.projectors
            size = await asyncio.to_thread(projector_bytes, projectors, target.entry.projector)
            need = with_projector(need, size, options)
        return await self._corrected(
            target,
            options,
            shape,
            identity,
            need,
            lambda corrected: fit.resident_bytes(corrected, dimensions),
            key=f"{identity.digest}:{build()}:{way}:{options.use_mmap}",
            layers=len(dimensions.layers),
            exact=dry_run is not None,
        )

    async def _folder(
        self, target: Target, options: LoadOptions, devices: tuple[Device, ...], tell: Tell
    ) -> Figures:
        from engine.library import folder_fit
        from engine.library.model_folder import header_size, stamped_files

        path = Path(target.entry.path)
        files = await asyncio.to_thread(stamped_files, path)
        stamps = await asyncio.to_thread(stamps_of, files)
        folder = await asyncio.to_thread(self._targets.catalog.folder, target.entry)
        identity = await self._identity(
            stamps, await asyncio.to_thread(lambda: [header_size(file) for file in files])
        )
        if self._settings.runtime.probe:
            await self._probes.find(
                LoadSpec(
                    model=target.id,
                    path=target.entry.path,
                    options=LoadOptions(),
                    libraries=library_settings(self._settings),
                ),
                identity,
                way=target.backend,
                vocabulary=folder.number("vocab_size"),
                news=lambda: tell("estimating"),
                backend=target.backend,
            )
        shape = context_shape(options, folder.context)
        devices = usable(devices, target.backend)
        # Reads the headers' every name, of which there may be thousands.
        need = await asyncio.to_thread(
            folder_fit.needs, folder, shape, devices, options, backend=target.backend
        )
        plan = None
        if target.backend == "transformers":
            plan = await asyncio.to_thread(folder_fit.placed, folder, shape, devices, options)
        said = (
            options.dtype, options.load_in_4bit, options.load_in_8bit, options.kv_type, need[0].device,
            *(plan.layers if plan is not None else ()),
        )  # fmt: skip
        figures = await self._corrected(
            target,
            options,
            shape,
            identity,
            need,
            lambda corrected: folder_fit.resident_bytes(corrected, target.backend),
            key=f"{identity.digest}:{target.backend}:{shape.cells},{shape.slots},{shape.batch},{said}",
            # Keys and values are taken as they are needed: a life that needed few does not say that none are.
            least=1.0,
        )
        # What bitsandbytes has quantised is on GPUs or not at all.
        spreads = target.backend == "transformers" and not (options.load_in_4bit or options.load_in_8bit)
        layers = folder.number("num_hidden_layers") or folder.number("n_layer") if spreads else 0
        return replace(figures, quantises_kv=target.backend == "mlx", placement=plan, layers=layers)

    async def _identity(self, stamps: tuple[Stamp, ...], header_sizes: list[int]) -> Identity:
        identity = self._identities.get(stamps)
        if identity is None:
            identity = await asyncio.to_thread(identity_of, stamps, header_sizes)
            if len(self._identities) >= _IDENTITIES:
                self._identities.clear()
            self._identities[stamps] = identity
        return identity

    async def _corrected(
        self,
        target: Target,
        options: LoadOptions,
        shape: ContextShape,
        identity: Identity,
        need: tuple[DeviceNeed, ...],
        resident_bytes: Callable[[tuple[DeviceNeed, ...]], int],
        *,
        key: str,
        layers: int = 0,
        exact: bool = False,
        least: float = LEAST_FACTOR,
    ) -> Figures:
        """The figures of `need`, corrected by what earlier loads under `key` took: to `least` of them at least."""
        observed = await asyncio.to_thread(self._observed.get, key) or Observed(1.0, 1.0)
        factor = max(least, _bounded(observed.allocated))
        need = tuple(_times(each, factor) for each in need)
        resident_factor = max(LEAST_RESIDENT_FACTOR, _bounded(observed.resident))
        resident = round(resident_bytes(need) * resident_factor)
        return Figures(
            estimate=Estimate(
                model=target.id,
                context=shape.context,
                slots=shape.slots,
                cells=shape.cells,
                devices=need,
                resident=resident,
                exact=exact,
                correction=factor,
            ),
            options=options,
            shape=shape,
            layers=layers,
            demand=demand(need, resident),
            spare=_spare(need),
            identity=identity,
            key=key,
            resident_factor=resident_factor,
        )


def _scripted(target: Target, options: LoadOptions) -> Figures:
    found = outline_of_script(target, options)
    return Figures(
        estimate=Estimate(
            model=target.id,
            context=min(options.context or found.trained, found.trained),
            slots=found.shape.slots,
            cells=found.shape.cells,
            devices=found.need,
            resident=found.resident,
            exact=True,
        ),
        options=options,
        shape=found.shape,
        demand=found.demand,
        spare=_spare(found.need),
    )


def _spare(need: tuple[DeviceNeed, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in need:
        pool = pool_of(each.device, each.kind)
        found[pool] = found.get(pool, 0) + each.kv_cache + each.compute
    return found


def _times(need: DeviceNeed, factor: float) -> DeviceNeed:
    if factor == 1.0:
        return need
    parts = {
        name: round(getattr(need, name) * factor) for name in ("weights", "kv_cache", "compute", "projector")
    }
    return replace(need, **parts)


def _bounded(factor: float) -> float:
    return min(MOST_FACTOR, max(LEAST_FACTOR, factor))


def _named(shape: ContextShape, options: LoadOptions, devices: tuple[Device, ...]) -> str:
    """One name for everything beside the file that changes what a load takes."""
    said = (
        shape.cells,
        shape.slots,
        shape.batch,
        shape.outputs,
        shape.whole_window,
        options.kv_type,
        options.flash_attention,
        gpu_layers(options),
        options.split,
        *(device.name for device in devices),
        *_shares(devices),
    )
    return ",".join(map(str, said))


def _shares(devices: tuple[Device, ...]) -> list[int]:
    """Percent of the layers, to five, that each of several GPUs gets: llama.cpp deals by free memory."""
    gpus = [device for device in devices if device.kind == "gpu"]
    total = sum(device.free for device in gpus)
    return [round(20 * device.free / total) * 5 for device in gpus] if len(gpus) > 1 and total else []
