"""What to do and say when a model does not fit: a smaller window, fewer layers on the GPU, or no, with figures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from engine.errors import HearthError, InsufficientMemory, ModelUnavailable
from engine.library import pools
from engine.library.advice import advice
from engine.library.pools import MAIN, missing, pool_of
from engine.library.verdicts import quantisation_that_fits, verdict
from engine.runtime.estimates import Figures
from engine.runtime.residency import Plan
from engine.settings import Runtime
from engine.types import Estimate, LoadOptions, ModelEntry
from engine.types.models import Verdict

LEAST_CONTEXT: Final = 512
"""A window that nobody asked for is not made smaller than this."""
GPU_SHARES: Final = (0.75, 0.5, 0.25, 0.0)
"""Parts of the layers that are tried on the GPU where all do not fit."""
Measure = Callable[[LoadOptions], Awaitable[Figures | None]]


def is_automatic(asked: LoadOptions, runtime: Runtime) -> bool:
    """Whether nobody has asked for a context window, so that it may be what fits."""
    return asked.context is None and asked.cells is None and runtime.context is None


async def smaller(
    figures: Figures, plan: Plan, asked: LoadOptions, runtime: Runtime, measure: Measure
) -> Figures | None:
    """A way to load the model that fits into what would be free, where the request leaves one open; else None.

    First a smaller window, then fewer layers on the GPU.
    """
    for options in _less(figures, plan, asked, runtime):
        found = await measure(options)
        if found is not None and not missing(found.demand, plan.would_be_free):
            return found
    return None


def _less(figures: Figures, plan: Plan, asked: LoadOptions, runtime: Runtime) -> Iterator[LoadOptions]:
    windows = [figures.shape.context]
    if is_automatic(asked, runtime):
        while windows[-1] // 2 >= LEAST_CONTEXT:
            windows.append(windows[-1] // 2)
        if not missing(_without_cache(figures), plan.would_be_free):
            for context in windows[1:]:
                yield replace(figures.options, context=context)
    on_gpu = any(pool != MAIN for pool in figures.demand)
    if on_gpu and asked.gpu_layers is None and runtime.gpu_layers is None:
        for share in GPU_SHARES:
            for context in dict.fromkeys((windows[0], windows[-1])):
                yield replace(figures.options, gpu_layers=int(share * (figures.layers + 1)), context=context)


def _without_cache(figures: Figures) -> dict[str, int]:
    return {pool: size - figures.spare.get(pool, 0) for pool, size in figures.demand.items()}


def judged(
    figures: Figures,
    plan: Plan,
    free: Mapping[str, int],
    others: Mapping[str, Mapping[str, int]],
    entry: ModelEntry,
    room: Mapping[str, int],
    largest: int,
) -> Estimate:
    """The estimate of `entry` with the verdict of `plan`: whether it fits, who makes way, what would help.

    `free` is what there is, `room` what there would be without idle models; `largest` the longest window for that.
    """
    estimate = figures.estimate
    said = quantisation = ""
    if not plan.possible:
        if entry.format == "gguf":
            quantisation = quantisation_that_fits(plan.short, estimate.devices, entry.parameters)
        said = (
            _advice(figures, plan, others, largest, quantisation)
            or "As many models as may be in memory are pinned."
        )
    elif plan.waits:
        said = "It has to wait until a model that is at work is done."
    return replace(
        estimate,
        devices=tuple(
            replace(each, free=free.get(pool_of(each.device, each.kind), each.free))
            for each in estimate.devices
        ),
        fits=plan.possible,
        verdict=_verdict(figures, plan, room),
        largest_context=largest,
        quantisation=quantisation,
        leaving=(*plan.shrink, *plan.evict),
        advice=said,
    )


def _verdict(figures: Figures, plan: Plan, room: Mapping[str, int]) -> Verdict:
    if not plan.possible:
        return "too big"
    makes_way = plan.waits or bool(plan.shrink or plan.evict)
    return "tight" if makes_way else verdict(figures.demand, room)


def no_room(
    model: str, figures: Figures | None, plan: Plan, others: Mapping[str, Mapping[str, int]]
) -> HearthError:
    """The refusal of a model for which no room can be made."""
    if figures is None or not plan.short:
        return ModelUnavailable(
            f"There is no room for {model}.",
            f"As many models as may be are pinned: {', '.join(others)}.",
            "Unpin or unload one of them, or raise `runtime.max_models`.",
            param="model",
        )
    needed = {pool: figures.demand[pool] for pool in plan.short}
    would_be = {pool: plan.would_be_free.get(pool, 0) for pool in plan.short}
    free = {pool: plan.free.get(pool, 0) for pool in plan.short}
    why = f"It needs {pools.show(needed)}; {pools.show(free)} can be had"
    if would_be != free:
        why += f", and {pools.show(would_be)} if every idle model left"
    return InsufficientMemory(
        f"{model} does not fit into memory.", f"{why}.", _advice(figures, plan, others), param="model"
    )


def ran_out(
    model: str,
    figures: Figures,
    free: Mapping[str, int],
    others: Mapping[str, Mapping[str, int]],
    error: HearthError,
) -> InsufficientMemory:
    """The error for a model whose load ran out of memory that had been there by the figures."""
    # A library that said so itself said also what is free.
    there = pools.show({pool: free.get(pool, 0) for pool in figures.demand})
    now = "" if isinstance(error, InsufficientMemory) else f"; {there} can be had now"
    shape = figures.shape
    ways = [f"a context below {shape.context}" if shape.context > LEAST_CONTEXT else ""]
    ways += ["one slot" if shape.slots > 1 else "", "a smaller model or quantisation"]
    ways += [f"unloading {name}" for name in others]
    return InsufficientMemory(
        f"There was not enough memory to load {model}.",
        f"It was to need {pools.show(figures.demand)}{now}. {error.why}",
        f"What may help: {', '.join(way for way in ways if way)}.",
        param="model",
    )


def _advice(
    figures: Figures,
    plan: Plan,
    others: Mapping[str, Mapping[str, int]],
    largest: int | None = None,
    quantisation: str = "",
) -> str:
    # Where nothing smaller can be had for keys and values, it is not advised.
    kv_type = figures.options.kv_type if figures.quantises_kv else "q8_0"
    return advice(
        plan.short,
        figures.estimate.devices,
        figures.shape,
        kv_type,
        others,
        largest=largest,
        quantisation=quantisation,
    )
