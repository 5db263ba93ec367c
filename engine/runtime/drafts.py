"""Draft models on the engine's side: which one a load names, how it is held, and what both take together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.errors import HearthError, Unsupported
from engine.library import fit, folder_fit
from engine.library.identity import Identity
from engine.library.load_options import meant_for
from engine.library.pools import demand, joined, joined_needs
from engine.library.shape import ContextShape
from engine.runtime.load_defaults import completed
from engine.runtime.targets import Targets
from engine.runtime.ticket import Target
from engine.runtime.wire import Draft
from engine.settings import Runtime
from engine.types import LoadOptions

if TYPE_CHECKING:
    from engine.runtime.estimates import Figures


def draft_of(targets: Targets, options: LoadOptions, backend: str) -> Target | None:
    """The draft model that `options` name, to run beside a model on `backend`; None where nothing is to be guessed.

    Looks into folders. Raises ModelNotFound, ModelLoadFailed or Unsupported, as for a model.
    """
    name = options.draft_model
    if name is None or options.draft_tokens == 0:
        return None
    try:
        found = targets.find(name)
        if backend in found.entry.backends:
            found = replace(found, backend=backend)
    except HearthError as error:
        what = f"The draft model cannot be used: {error.what}"
        raise HearthError.from_info(replace(error.info, what=what, param="draft_model")) from None
    if found.adapters:
        raise Unsupported(
            f"{name} cannot be a draft model: it names adapters.",
            "A draft model runs without.",
            "Name the model alone.",
            param="draft_model",
        )
    # It sees no pictures: answers to them are not guessed at.
    return replace(found, entry=replace(found.entry, projector=None))


def options_of(draft: Target, options: LoadOptions, shape: ContextShape, runtime: Runtime) -> LoadOptions:
    """How a draft model is held beside a model of `shape` loaded with `options`: as many slots, as long a window.

    What does not mean anything under the backend of the one may be a setting for that of the other.
    """
    held = LoadOptions(
        context=shape.context,
        slots=shape.slots,
        cells=options.cells,
        batch=options.batch,
        # It is small: in one place.
        device=(options.device or "").partition(",")[0] or None,
        gpu_layers=options.gpu_layers,
        threads=options.threads,
        batch_threads=options.batch_threads,
        kv_type=options.kv_type,
        flash_attention=options.flash_attention,
        use_mmap=options.use_mmap,
    )
    whole = completed(meant_for(draft.backend, held), runtime, draft.backend)
    return replace(whole, draft_tokens=None)


def together(main: Figures, draft: Figures, order: Draft, backend: str) -> Figures:
    """The figures of a model of `backend` with its draft model.

    Nothing is learnt from such a load: it would be of neither.
    """
    estimate = main.estimate
    needs = joined_needs(estimate.devices, draft.estimate.devices)
    resident = estimate.resident + draft.estimate.resident - shared(backend, order.backend)
    identity = main.identity
    if identity is not None and draft.identity is not None:
        # Either may be mapped: a change of one of the files is a change of the model.
        identity = Identity(stamps=identity.stamps + draft.identity.stamps, digest=identity.digest)
    return replace(
        main,
        estimate=replace(estimate, devices=needs, resident=resident),
        demand=demand(needs, resident),
        spare=joined(main.spare, draft.spare),
        identity=identity,
        key="",
        draft=order,
    )


def shared(one: str, other: str) -> int:
    """What two models of these backends both count and their process has once, about: interpreter, libraries; bytes."""
    return min(_process(one), _process(other))


def _process(backend: str) -> int:
    return folder_fit.PROCESS.get(backend, fit.PROCESS if backend == "llama" else 0)
