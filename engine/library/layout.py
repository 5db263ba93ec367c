"""How a model is laid out in memory: its windows, sequences, KV cells and batches, and what a dry run says of it.

The worker opens its context by this, and the estimate before a load counts by it: one place decides, so that both
agree. Sizes are tokens unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from engine.types import LoadOptions

DEFAULT_SLOTS = 4
DEFAULT_BATCH = 512
DEFAULT_CONTEXT = 8192
"""Window of a sequence when nobody says one: the model's own, but no more than this (each slot pays)."""
MOST_MICRO_BATCH = 512
"""Tokens that llama.cpp computes at once; its compute buffers grow with it."""
MOST_SEQUENCES = 256
"""LLAMA_MAX_SEQ of llama.cpp."""
MOST_CELLS = 2**31 - 256
PADDING = 256
"""llama.cpp rounds the KV cells up to a multiple of this."""


class Layout(Struct, frozen=True, kw_only=True):
    """How a context is laid out over the weights."""

    context: int
    """Window of one sequence."""
    slots: int
    """Sequences that run at once."""
    sequences: int
    """Sequence ids: slots, and those that only keep what was computed."""
    cells: int
    """KV cells in all."""
    batch: int
    """Most tokens of a step."""
    whole_window: bool = True
    """Whether sliding-window layers keep the KV of the whole window."""

    @property
    def micro_batch(self) -> int:
        return min(self.batch, MOST_MICRO_BATCH)

    @property
    def padded_cells(self) -> int:
        """KV cells as llama.cpp makes them."""
        return padded(self.cells)

    def sliding_cells(self, window: int) -> int:
        """KV cells of a layer that looks back over `window` tokens (llama.cpp's llama_kv_cache_iswa)."""
        if self.whole_window or window <= 0:
            return self.padded_cells
        return padded(min(self.padded_cells, window * self.sequences + self.micro_batch))


class Matrix(Struct, frozen=True):
    """A kind of weights: number format and shape, fastest dimension first."""

    type: str
    shape: tuple[int, ...]


class DryRun(Struct, frozen=True, kw_only=True):
    """What the library said it would allocate for a layout: bytes by device, nothing of it really taken."""

    kv_cache: Mapping[str, int] = {}
    """KV cache and running states."""
    compute: Mapping[str, int] = {}
    """Compute and output buffers."""
    layers: tuple[str, ...] = ()
    """The device of each layer, the output's last."""
    rearranged: tuple[Matrix, ...] = ()
    """Matrices that the CPU backend copies into an order of its own."""


def layout_of(options: LoadOptions, trained: int, *, most_sequences: int = MOST_SEQUENCES) -> Layout:
    """The layout that `options` ask for, within what a model trained on `trained` tokens can do (0: unknown).

    Without `options.cells` there is a whole window of cells for each slot, so that a sequence can always grow to
    its window. With fewer cells than that, sequences share them, and no window is longer than all of them.
    """
    slots = min(options.slots or DEFAULT_SLOTS, most_sequences)
    context = options.context or min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    if trained > 0:
        context = min(context, trained)
    context = max(8, min(context, MOST_CELLS // slots))
    cells = min(options.cells or context * slots, MOST_CELLS)
    return Layout(
        context=min(context, cells),
        slots=slots,
        sequences=slots,
        cells=cells,
        batch=max(slots, min(options.batch or DEFAULT_BATCH, cells)),
        whole_window=options.whole_window is not False,
    )


def padded(cells: int) -> int:
    """`cells` rounded up as llama.cpp does."""
    return -(-cells // PADDING) * PADDING
