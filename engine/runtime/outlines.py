"""What a model would take by its headers alone: no trial of the file, no dry run, nothing learnt of earlier loads.

Cheap enough for lists of a thousand models and for looking for the largest window; `estimates` is for loads. On models
of published sizes the sum is within five percent of a dry run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from engine.library.devices import gpu_layers, left_by, usable
from engine.library.pools import demand
from engine.library.projectors import Projectors
from engine.library.shape import ContextShape, context_shape
from engine.runtime.backends.script import parse
from engine.runtime.targets import Targets
from engine.runtime.ticket import Target
from engine.types import Device, DeviceNeed, LoadOptions


class Outline(Struct, frozen=True, kw_only=True):
    """A model loaded in one way: what each device would hold, the worker's resident set, and the shape of it."""

    need: tuple[DeviceNeed, ...]
    resident: int
    shape: ContextShape
    trained: int
    """Tokens of the window that the model was trained for; 0: unknown."""

    @property
    def demand(self) -> dict[str, int]:
        """Bytes by pool of memory."""
        return demand(self.need, self.resident)


def outline_of(
    targets: Targets, target: Target, options: LoadOptions, devices: Sequence[Device]
) -> Outline | None:
    """The outline of `target`, loaded with `options` onto `devices`; None for a backend that cannot say.

    Reads headers. Raises ModelLoadFailed for a file that has no good one.
    """
    if target.backend == "scripted":
        return outline_of_script(target, options)
    if target.backend == "llama":
        return _gguf(targets, target, options, devices)
    if target.backend in ("transformers", "mlx"):
        return _folder(targets, target, options, devices)
    return None


def with_projector(
    need: tuple[DeviceNeed, ...], projectors: Projectors, path: Path, options: LoadOptions
) -> tuple[DeviceNeed, ...]:
    """`need` with the projector, which is held by the first GPU unless none is to be used."""
    gpus = [each.device for each in need if each.kind in ("gpu", "igpu")]
    device = need[0].device if options.gpu_layers == 0 or not gpus else gpus[0]
    size = projectors.size(path) + projectors.compute(path)
    return tuple(replace(each, projector=size) if each.device == device else each for each in need)


def _gguf(targets: Targets, target: Target, options: LoadOptions, devices: Sequence[Device]) -> Outline:
    from engine.library import fit
    from engine.library.dimensions import dimensions_of

    headers = targets.catalog.headers(target.entry)
    dimensions = dimensions_of(headers[0])
    shape = context_shape(options, dimensions.context)
    need = fit.needs(
        headers,
        dimensions,
        shape,
        left_by(usable(tuple(devices), target.backend), options.device) if devices else (),
        kv_type=options.kv_type,
        flash_attention=options.flash_attention,
        gpu_layers=gpu_layers(options),
        split=options.split,
        mapped=options.use_mmap is not False,
    )
    if target.entry.projector is not None:
        need = with_projector(need, targets.catalog.projectors, Path(target.entry.projector), options)
    return Outline(
        need=need, resident=fit.resident_bytes(need, dimensions), shape=shape, trained=dimensions.context
    )


def _folder(targets: Targets, target: Target, options: LoadOptions, devices: Sequence[Device]) -> Outline:
    from engine.library import folder_fit

    folder = targets.catalog.folder(target.entry)
    shape = context_shape(options, folder.context)
    need = folder_fit.needs(
        folder, shape, usable(tuple(devices), target.backend), options, backend=target.backend
    )
    return Outline(
        need=need,
        resident=folder_fit.resident_bytes(need, target.backend),
        shape=shape,
        trained=folder.context,
    )


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
