"""Loads weights and opens the context over them. Every number is clamped before it crosses into C."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from engine.errors import InsufficientMemory, ModelLoadFailed, Unsupported
from engine.runtime.backends.base import LoadSpec, Progress
from engine.runtime.backends.llama.library import LogCapture, cores, devices, native
from engine.types import LoadOptions

DEFAULT_SLOTS: Final = 4
DEFAULT_BATCH: Final = 512
DEFAULT_CONTEXT: Final = 8192
"""Window of a sequence when nobody says one: the model's own, but no more than this (each slot pays)."""
SCORED_OUTPUTS: Final = 16
"""Rows of logits beyond one a slot: how many tokens of a prompt are scored, or guesses checked, in a step. Each is a
vocabulary of numbers."""
_MOST_CELLS: Final = 2**31 - 256
# ggml_type numbers of ggml.h.
KV_TYPES: Final[Mapping[str, int]] = {
    "f32": 0,
    "f16": 1,
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "q8_0": 8,
    "bf16": 30,
}


class Shape(Struct, frozen=True, kw_only=True):
    """How a context is laid out: tokens of one window, sequences at once, tokens of a step, threads.

    `cells` are the tokens that the KV cache holds over all slots, `outputs` the rows of logits of one step.
    """

    context: int
    slots: int
    batch: int
    threads: int
    batch_threads: int
    cells: int
    outputs: int
    whole_window: bool = True


def check_options(options: LoadOptions) -> None:
    """Raises Unsupported for what a GGUF file under llama.cpp cannot be asked."""
    for name, what in (
        ("dtype", "A GGUF file fixes its own number types."),
        ("load_in_8bit", "A GGUF file is quantised already."),
        ("load_in_4bit", "A GGUF file is quantised already."),
        ("draft_model", "Guesses are looked up in the text so far; a second model is not used for them."),
    ):
        if getattr(options, name):
            raise Unsupported(
                f"`{name}` cannot be used with a GGUF model.", what, "Leave it out.", param=name
            )


def load_weights(spec: LoadSpec, progress: Progress) -> int:
    """The native handle of the weights at `spec.path`.

    Raises ModelLoadFailed with the library's reason, or InterruptedError when `progress` answered False.
    """
    api = native()
    _check_file(Path(spec.path))
    stopped: list[BaseException | None] = []

    def report(fraction: float, _: object) -> bool:
        try:
            goes_on = progress("weights", max(0.0, min(1.0, fraction)))
        except BaseException as error:
            stopped.append(error)
            return False
        if not goes_on:
            stopped.append(None)
        return goes_on

    callback = api.llama_progress_callback(report)
    params = api.llama_model_default_params()
    layers = spec.options.gpu_layers
    params.n_gpu_layers = -1 if layers is None else max(-1, min(layers, 2**31 - 1))
    params.load_mode = {
        None: api.LLAMA_LOAD_MODE_AUTO,
        True: api.LLAMA_LOAD_MODE_MMAP,
        False: api.LLAMA_LOAD_MODE_NONE,
    }[spec.options.use_mmap]
    params.progress_callback = callback
    with LogCapture() as log:
        model: int | None = api.llama_model_load_from_file(
            spec.path.encode("utf-8", "surrogateescape"), params
        )
    if stopped:
        if model:
            api.llama_model_free(model)
        if stopped[0] is not None:
            raise stopped[0]
        raise InterruptedError(f"Loading {spec.model} was stopped.")
    if not model:
        raise ModelLoadFailed(
            f"{spec.model} cannot be loaded.",
            log.reason(),
            "Download the file again, or choose a model whose architecture this llama.cpp knows.",
        )
    return model


def shape_of(spec: LoadSpec, trained: int) -> Shape:
    """The layout that `spec` asks for, within what library and model (trained on `trained` tokens) can do.

    Prefill uses every core. Decode leaves one free beside a screen, and also where OpenMP waits passively: two
    threads that sleep at every barrier are slower than one.
    """
    options = spec.options
    all_cores = cores()
    shares = spec.screen_attached or os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive"
    slots = min(options.slots or DEFAULT_SLOTS, native().llama_max_parallel_sequences() - 1)
    context = options.context or min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    if trained > 0:
        context = min(context, trained)
    context = max(8, min(context, _MOST_CELLS // slots))
    cells = min(options.cells or context * slots, context * slots)
    batch = max(slots, min(options.batch or DEFAULT_BATCH, cells))
    return Shape(
        context=min(context, cells),
        slots=slots,
        batch=batch,
        threads=options.threads or (max(1, all_cores - 1) if shares else all_cores),
        batch_threads=options.batch_threads or all_cores,
        cells=cells,
        outputs=min(batch, slots + max(SCORED_OUTPUTS, slots * (options.draft_tokens or 0))),
        whole_window=options.whole_window is not False,
    )


def open_context(model: int, spec: LoadSpec, shape: Shape, sequences: int, abort: tuple[Any, Any]) -> int:
    """The native handle of a context of `shape` for `sequences` sequence ids.

    One KV buffer serves all slots; unless `cells` says less it holds a whole window for each, so that a sequence can
    always grow to its window. `abort` is the callback that ends a running decode, with its data.
    Raises InsufficientMemory or ModelLoadFailed.
    """
    api = native()
    options = spec.options
    params = api.llama_context_default_params()
    params.n_ctx = shape.cells
    params.n_batch = shape.batch
    params.n_ubatch = min(shape.batch, 512)
    params.n_seq_max = sequences
    # The default reserves a row of logits for each token of a batch.
    params.n_outputs_max = max(shape.outputs, sequences)
    params.kv_unified = True
    params.swa_full = shape.whole_window
    params.n_threads, params.n_threads_batch = shape.threads, shape.batch_threads
    if options.flash_attention is not None:
        params.flash_attn_type = int(options.flash_attention)
    if options.kv_type is not None:
        params.type_k = params.type_v = KV_TYPES[options.kv_type]
    params.abort_callback, params.abort_callback_data = abort
    params.no_perf = True
    with LogCapture() as log:
        context: int | None = api.llama_init_from_model(model, params)
    if context:
        return context
    reason = log.reason()
    if "alloc" in reason:
        raise InsufficientMemory(
            f"There is not enough memory to run {spec.model}.",
            reason,
            "Lower `context` or `slots`, or choose a smaller `kv_type`.",
        )
    raise ModelLoadFailed(
        f"{spec.model} cannot be run as asked.", reason, "Check `kv_type`, `flash_attention` and `context`."
    )


def on_processor_only(options: LoadOptions) -> bool:
    """Whether every layer runs on the CPU, the only device that a running decode can be stopped on."""
    return options.gpu_layers == 0 or all(device.kind in ("cpu", "accelerator") for device in devices())


def _check_file(path: Path) -> None:
    """Raises ModelLoadFailed for what is no GGUF file at first sight."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ModelLoadFailed(
            f"{path} cannot be read.", f"{error.strerror or error}.", "Check the path and its rights."
        ) from error
    if head.startswith(b"version https://git-lfs"):
        raise ModelLoadFailed(
            f"{path} holds no weights.", "It is a Git LFS pointer.", "Fetch the file itself: git lfs pull."
        )
    if not head.startswith(b"GGUF"):
        why = "It is empty." if not head else f"It begins with {head[:4]!r}, not with GGUF."
        raise ModelLoadFailed(f"{path} is not a GGUF file.", why, "Choose a file in the GGUF format.")


def free(model: int, context: int | None) -> None:
    """Free a context and its weights, in this order; adapters go with the weights."""
    api = native()
    if context is not None:
        api.llama_free(ctypes.c_void_p(context))
    api.llama_model_free(ctypes.c_void_p(model))
