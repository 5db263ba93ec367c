"""Verdicts for many models at once: what of a list would fit into memory, by headers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from engine.errors import HearthError
from engine.library.load_options import meant_for
from engine.library.pools import missing
from engine.library.verdicts import instead_of, largest_window, quantisation_that_fits, verdict
from engine.runtime.estimates import Estimator
from engine.runtime.fitting import LEAST_CONTEXT, is_automatic
from engine.runtime.outlines import Outline
from engine.runtime.ticket import Target
from engine.settings import Runtime
from engine.types import Device, Fit, LoadOptions, ModelEntry
from engine.types.models import Verdict


def fits(
    estimator: Estimator,
    targets: Sequence[Target],
    options: LoadOptions,
    devices: tuple[Device, ...],
    room: Mapping[str, int],
    runtime: Runtime,
) -> list[Fit]:
    """A verdict for each of `targets`, loaded with `options` into `room` (bytes by pool).

    A window that nobody asked for counts as what fits of it, as in a load. Reads headers; a file that has no good one
    is `unknown`, with the reason.
    """
    found = [_fit(estimator, target, options, devices, room, runtime) for target in targets]
    judged: list[tuple[ModelEntry, Verdict]] = [
        (target.entry, fit.verdict) for target, fit in zip(targets, found, strict=True)
    ]
    return [
        replace(fit, instead=instead_of(target.entry, judged)) if fit.verdict == "too big" else fit
        for target, fit in zip(targets, found, strict=True)
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
    target: Target,
    options: LoadOptions,
    devices: tuple[Device, ...],
    room: Mapping[str, int],
    runtime: Runtime,
) -> Fit:
    options = meant_for(target.backend, options)

    def at(context: int | None) -> Outline:
        outline = estimator.outline(target, replace(options, context=context), devices)
        if outline is None:
            raise LookupError
        return outline

    try:
        outline = at(options.context)
        most = outline.trained or outline.shape.context
        largest = largest_window(lambda context: at(context).demand, room, most)
        # A load takes what fits of a window that nobody asked for.
        if is_automatic(options, runtime) and LEAST_CONTEXT <= largest < outline.shape.context:
            outline = at(largest)
    except HearthError as error:
        return Fit(model=target.id, verdict="unknown", reason=error.info.sentence())
    except LookupError:
        return Fit(model=target.id, verdict="unknown", reason=f"{target.backend} cannot tell before a load.")
    demand = outline.demand
    short = missing(demand, room)
    is_gguf = target.entry.format == "gguf"
    parameters = target.entry.parameters if is_gguf else 0
    return Fit(
        model=target.id,
        verdict=verdict(demand, room),
        context=outline.shape.context,
        largest_context=largest,
        needs=demand,
        free={pool: size for pool, size in room.items() if pool in demand},
        quantisation=quantisation_that_fits(short, outline.need, parameters),
    )
