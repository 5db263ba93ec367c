"""What a model would take by its headers alone: no trial of the file, no dry run, nothing learnt of earlier loads.

Cheap enough for lists of a thousand models and for looking for the largest window; `estimates` is for loads. On models
of published sizes the sum is within five percent of a dry run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from engine.library.devices import gpu_layers, left_by, usable
from engine.library.pools import demand, joined_needs
from engine.library.projectors import Projectors
from engine.library.shape import ContextShape, context_shape
from engine.runtime.backends.script import parse
from engine.runtime.drafts import draft_of, options_of, shared
from engine.runtime.targets import Targets
from engine.runtime.ticket import Target
from engine.settings import Runtime
from engine.types import Device, DeviceNeed, LoadOptions


class Outline(Struct, frozen=True, kw_only=True):
    """A model loaded in one way: what each device would hold, the worker's resident set, and the shape of it."""

    need: tuple[DeviceNeed, ...]
    resident: int
    shape: ContextShape
    trained: int
    """Tokens of the window that the model was trained for; 0: unknown."""
    layers: int = 0
    """How many it has, where they may lie on several devices."""

    @property
    def demand(self) -> dict[str, int]:
        """Bytes by pool of memory."""
        return demand(self.need, self.resident)


At = Callable[[int | None], Outline]
"""The outline of a model in a window of so many tokens; None: as the options say."""


def outliner(
    targets: Targets, target: Target, options: LoadOptions, devices: Sequence[Device], runtime: Runtime
) -> At | None:
    """The outlines of `target`, loaded with `options` onto `devices`, its draft model in them.

    None for a backend that cannot say. Reads headers, once. Raises ModelLoadFailed for a file that has no good one,
    and what `draft_of` raises.
    """
    draft = draft_of(targets, options, target.backend)
    main = _outliner(targets, target, options, devices)
    if main is None or draft is None:
        return main

    def at(context: int | None) -> Outline:
        found = main(context)
        beside = _outliner(targets, draft, options_of(draft, options, found.shape, runtime), devices)
        if beside is None:
            return found
        its = beside(None)
        return replace(
            found,
            need=joined_needs(found.need, its.need),
            resident=found.resident + its.resident - shared(target.backend, draft.backend),
        )

    return at


def _outliner(targets: Targets, target: Target, options: LoadOptions, devices: Sequence[Device]) -> At | None:
    if target.backend == "scripted":
        return lambda context: outline_of_script(target, _within(options, context))
    if target.backend == "llama":
        return _gguf(targets, target, options, devices)
    if target.backend in ("transformers", "mlx"):
        return _folder(targets, target, options, devices)
    return None


def with_projector(need: tuple[DeviceNeed, ...], size: int, options: LoadOptions) -> tuple[DeviceNeed, ...]:
    """`need` with a projector of `size` bytes, which is held by the first GPU unless none is to be used."""
    gpus = [each.device for each in need if each.kind in ("gpu", "igpu")]
    device = need[0].device if gpu_layers(options) == 0 or not gpus else gpus[0]
    return tuple(replace(each, projector=size) if each.device == device else each for each in need)


def projector_bytes(projectors: Projectors, path: str) -> int:
    """What a projector takes, a picture that it looks at included. Raises ModelLoadFailed."""
    return projectors.size(Path(path)) + projectors.compute(Path(path))


def _gguf(targets: Targets, target: Target, options: LoadOptions, devices: Sequence[Device]) -> At:
    from engine.library import fit
    from engine.library.dimensions import dimensions_of

    headers = targets.catalog.headers(target.entry)
    dimensions = dimensions_of(headers[0])
    devices = left_by(usable(tuple(devices), target.backend), options.device) if devices else ()
    mapped, on_gpu = options.use_mmap is not False, gpu_layers(options)
    weights = fit.weights_on(
        headers, dimensions, devices, gpu_layers=on_gpu, split=options.split, mapped=mapped
    )
    seeing = target.entry.projector
    projector = projector_bytes(targets.catalog.projectors, seeing) if seeing is not None else 0

    def at(context: int | None) -> Outline:
        shape = context_shape(_within(options, context), dimensions.context)
        need = fit.needs(
            headers,
            dimensions,
            shape,
            devices,
            kv_type=options.kv_type,
            flash_attention=options.flash_attention,
            gpu_layers=on_gpu,
            split=options.split,
            mapped=mapped,
            weights=weights,
        )
        if projector:
            need = with_projector(need, projector, options)
        return Outline(
            need=need,
            resident=fit.resident_bytes(need, dimensions),
            shape=shape,
            trained=dimensions.context,
            layers=len(dimensions.layers),
        )

    return at


def _folder(targets: Targets, target: Target, options: LoadOptions, devices: Sequence[Device]) -> At:
    from engine.library import folder_fit

    folder = targets.catalog.folder(target.entry)
    devices = usable(tuple(devices), target.backend)

    def at(context: int | None) -> Outline:
        shape = context_shape(_within(options, context), folder.context)
        need = folder_fit.needs(folder, shape, devices, options, backend=target.backend)
        return Outline(
            need=need,
            resident=folder_fit.resident_bytes(need, target.backend),
            shape=shape,
            trained=folder.context,
        )

    return at


def _within(options: LoadOptions, context: int | None) -> LoadOptions:
    return options if context is None else replace(options, context=context)


def outline_of_script(target: Target, options: LoadOptions) -> Outline:
    """What a scripted model says of itself."""
    script = parse(target.id)
    context = min(options.context or script.context, script.context)
    need = DeviceNeed(device="CPU", weights=script.weights, kv_cache=script.cache * context // script.context)
    slots = options.slots or script.slots
    return Outline(
        need=(need,),
        resident=need.total,
        shape=context_shape(replace(options, context=context, slots=slots), script.context),
        trained=script.context,
    )
