"""Opens a model and a context without reading weights or taking memory: what would be allocated, and what it is.

llama.cpp's `no_alloc` reads header and vocabulary, plans every tensor and reserves every graph, but allocates none of
it. (Running states of recurrent models, a few megabytes, are the exception.) The parameters are those of the real
load, from `model`. For throw-away processes and readers: a malformed file may abort the process here too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct
from msgspec.structs import replace

from engine.library.load_options import check
from engine.library.shape import DryRun, Matrix
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.llama import model as weights
from engine.runtime.backends.llama.buffers import dry_run, rearranges
from engine.runtime.backends.llama.library import LogCapture, devices, native
from engine.runtime.backends.llama.model import Shape, context_params, shape_of
from engine.runtime.backends.llama.repacking import rearranged
from engine.runtime.backends.llama.sequences import layout_of


class Simulated(Struct, frozen=True, kw_only=True):
    """A context that holds nothing: native handles, its shape, and what the real one would take."""

    model: int
    context: int
    shape: Shape
    dry_run: DryRun


@contextmanager
def simulated_model(spec: LoadSpec, *, on_devices: bool = True) -> Iterator[tuple[int, LogCapture]]:
    """The native handle of the weights at `spec.path`, unread, and the log of loading them.

    Without `on_devices` no GPU is woken, for those who want vocabulary and metadata only.
    Raises ModelLoadFailed with the library's reason.
    """
    check("llama", spec.options)
    weights.check_file(spec.path)
    api = native()
    params = weights.model_params(spec.options)
    params.no_alloc = True
    # Mapping a file is allocating it; the library refuses the pair.
    params.load_mode = api.LLAMA_LOAD_MODE_NONE
    if not on_devices:
        params.n_gpu_layers = 0
    with LogCapture(debug=True) as log:
        model: int | None = api.llama_model_load_from_file(os.fsencode(spec.path), params)
    if not model:
        raise weights.not_loaded(spec.model, log)
    try:
        yield model, log
    finally:
        weights.free(model, None)


@contextmanager
def simulated(
    spec: LoadSpec,
    matrices: Sequence[Matrix] = (),
    before_context: Callable[[int], None] = lambda model: None,
) -> Iterator[Simulated]:
    """The model and the context that `spec` asks for, without their memory.

    `matrices` are the kinds of its weights, to be told which would be held twice; `before_context` is called with the
    model when only that is there. Raises ModelLoadFailed.
    """
    api = native()
    with simulated_model(spec) as (model, log):
        before_context(model)
        shape = shape_of(spec, api.llama_model_n_ctx_train(model))
        with LogCapture(debug=True) as context_log:
            layout = layout_of(model, shape.slots, whole_window=shape.whole_window)
            params = context_params(spec.options, shape, layout.sequences)
            context: int | None = api.llama_init_from_model(model, params)
        if not context:
            raise weights.not_opened(spec.model, context_log)
        try:
            found = dry_run([*log.lines, *context_log.lines], devices())
            if rearranges(log.lines):
                found = replace(found, rearranged=rearranged(matrices))
            yield Simulated(model=model, context=context, shape=shape, dry_run=found)
        finally:
            api.llama_free(context)
