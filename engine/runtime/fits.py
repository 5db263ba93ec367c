"""Verdicts for many models at once: what of a list would fit into memory, by headers alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from engine.errors import HearthError
from engine.library.pools import MAIN, missing
from engine.library.verdicts import instead_of, largest_window, quantisation_that_fits, verdict
from engine.runtime.estimates import Estimator
from engine.runtime.fitting import GPU_SHARES, LEAST_CONTEXT, is_automatic
from engine.runtime.outlines import Outline
from engine.runtime.ticket import Target
from engine.settings import Runtime
from engine.types import Device, Fit, LoadOptions, ModelEntry
from engine.types.models import Verdict

Wanted = tuple[Target, LoadOptions]
"""A model, and the options that it would be loaded with, those of the settings filled in."""


def fits(
    estimator: Estimator,
    wanted: Sequence[Wanted],
    devices: tuple[Device, ...],
    room: Mapping[str, int],
    runtime: Runtime,
    *,
    windows: bool = True,
) -> list[Fit]:
    """A verdict for each of `wanted`, loaded into `room` (bytes by pool).

    A window that nobody asked for counts as what fits of it, and layers that fit onto no GPU as the CPU's, as in a
    load. Without `windows` the largest window is told only where the usual one does not fit. Reads headers; a file
    that has no good one is `unknown`, with the reason.
    """
    with estimator.looked_at_once():
        found = [_fit(estimator, each, devices, room, runtime, windows) for each in wanted]
    judged: list[tuple[ModelEntry, Verdict]] = [
        (target.entry, fit.verdict) for (target, _), fit in zip(wanted, found, strict=True)
    ]
    return [
        replace(fit, instead=instead_of(target.entry, judged)) if fit.verdict == "too big" else fit
        for (target, _), fit in zip(wanted, found, strict=True)
    ]


def in_order(found: Sequence[Fit], models: Sequence[str] | None) -> list[Fit]:
    """The verdicts on `models` in their order, or all; what is not among those found is `unknown`."""
    if models is None:
        return list(found)
    known = {each.model: each for each in found}
    missing = "There is no such model, or it cannot be run here."
    return [known.get(name) or Fit(model=name, verdict="unknown", reason=missing) for name in models]


def _fit(
    estimator: Estimator,
    wanted: Wanted,
    devices: tuple[Device, ...],
    room: Mapping[str, int],
    runtime: Runtime,
    windows: bool,
) -> Fit:
    target, options = wanted
    is_open = is_automatic(options, runtime)
    try:
        at = estimator.outliner(target, options, devices)
        if at is None:
            reason = f"{target.backend} cannot tell before a load."
            return Fit(model=target.id, verdict="unknown", reason=reason)
        outline = at(None)
        largest = 0
        if windows or missing(outline.demand, room):
            most = outline.trained or outline.shape.context
            largest = largest_window(lambda context: at(context).demand, room, most)
            # A load takes what fits of a window that nobody asked for.
            if is_open and LEAST_CONTEXT <= largest < outline.shape.context:
                outline = at(largest)
        less = None
        if missing(outline.demand, room) and options.gpu_layers is None and runtime.gpu_layers is None:
            less = next(
                (
                    each
                    for each in _lower(estimator, wanted, devices, outline, is_open)
                    if not missing(each.demand, room)
                ),
                None,
            )
    except HearthError as error:
        return Fit(model=target.id, verdict="unknown", reason=error.info.sentence())
    short = missing(outline.demand, room)
    said: Verdict = verdict(outline.demand, room)
    if less is not None:
        # Slower than all of it on the GPU, which is what somebody would want.
        outline, said, short = less, "tight", {}
    demand = outline.demand
    parameters = target.entry.parameters if target.entry.format == "gguf" else 0
    return Fit(
        model=target.id,
        verdict=said,
        context=outline.shape.context,
        largest_context=largest,
        needs=demand,
        free={pool: size for pool, size in room.items() if pool in demand},
        quantisation=quantisation_that_fits(short, outline.need, parameters),
    )


def _lower(
    estimator: Estimator, wanted: Wanted, devices: tuple[Device, ...], outline: Outline, is_open: bool
) -> Iterator[Outline]:
    """The model with fewer of its layers on the GPU, where it has layers there: as `fitting.smaller` tries it."""
    target, options = wanted
    if not outline.layers or set(outline.demand) == {MAIN}:
        return
    for share in GPU_SHARES:
        layers = int(share * (outline.layers + 1))
        at = estimator.outliner(target, replace(options, gpu_layers=layers), devices)
        if at is not None:
            yield at(None)
            if is_open:
                yield at(LEAST_CONTEXT)
