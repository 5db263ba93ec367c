"""How a model's context is shaped in memory: windows, sequence ids, KV cells, batches; and what a dry run says of it.

The worker opens its context by this, and the estimate before a load counts by it: one place decides, so that both
agree. Sizes are tokens unless said otherwise. Pure numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from engine.types import LoadOptions

DEFAULT_SLOTS = 4
DEFAULT_BATCH = 512
DEFAULT_CONTEXT = 8192
"""Window of a sequence when nobody says one: the model's own, but no more than this (each slot pays)."""
SCORED_OUTPUTS = 16
"""Rows of logits beyond one a slot: how many tokens of a prompt are scored, or guesses checked, in a step. Each is a
vocabulary of numbers."""
MOST_MICRO_BATCH = 512
"""Tokens that llama.cpp computes at once; its compute buffers grow with it."""
MOST_IDS = 256
"""LLAMA_MAX_SEQ of llama.cpp: a unified memory knows every id below it, whatever `n_seq_max` says."""
MOST_SHELVES = 96
STATEFUL_SHELVES = 4
"""A running state is paid for with memory, used or not."""
MOST_CELLS = 2**31 - 256
PADDING = 256
"""llama.cpp rounds the KV cells up to a multiple of this."""


class ContextShape(Struct, frozen=True, kw_only=True):
    """What a context is asked for, whatever the model."""

    context: int
    """Window of one sequence."""
    slots: int
    """Sequences that run at once."""
    batch: int
    """Most tokens of a step."""
    cells: int
    """KV cells over all slots."""
    outputs: int
    """Rows of logits of one step."""
    whole_window: bool = True
    """Whether sliding-window layers keep the KV of the whole window."""

    @property
    def micro_batch(self) -> int:
        return min(self.batch, MOST_MICRO_BATCH)

    @property
    def padded_cells(self) -> int:
        """KV cells as llama.cpp makes them."""
        return padded(self.cells)

    def sliding_cells(self, window: int, sequences: int) -> int:
        """KV cells of a layer that looks back over `window` tokens, for `sequences` ids (llama_kv_cache_iswa)."""
        if self.whole_window or window <= 0:
            return self.padded_cells
        return padded(min(self.padded_cells, window * sequences + self.micro_batch))


def context_shape(options: LoadOptions, trained: int, *, most_ids: int = MOST_IDS) -> ContextShape:
    """The shape that `options` ask for, within what a model trained on `trained` tokens can do (0: unknown).

    Without `options.cells` there is a whole window of cells for each slot, so that a sequence can always grow to
    its window. With fewer than that, sequences share them, and no window is longer than all of them.
    """
    slots = min(options.slots or DEFAULT_SLOTS, most_ids - 1)
    context = options.context or min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    if trained > 0:
        context = min(context, trained)
    context = max(8, min(context, MOST_CELLS // slots))
    cells = min(options.cells or context * slots, context * slots)
    batch = max(slots, min(options.batch or DEFAULT_BATCH, cells))
    return ContextShape(
        context=min(context, cells),
        slots=slots,
        batch=batch,
        cells=cells,
        outputs=min(batch, slots + max(SCORED_OUTPUTS, slots * (options.draft_tokens or 0))),
        whole_window=options.whole_window is not False,
    )


class SequenceIds(Struct, frozen=True, kw_only=True):
    """How llama.cpp's sequence ids are given out. `sequences` is the `n_seq_max` of the context."""

    shelves: int
    """Ids that only keep what was computed."""
    sequences: int
    twins: bool = False
    """Whether each slot has a second id, so that no cell of a sliding window ever has just one."""


def sequence_ids(slots: int, *, stateful: bool, slides: bool, whole_window: bool) -> SequenceIds:
    """The ids for a model that keeps running states (`stateful`), or whose layers look through windows (`slides`)."""
    if stateful:
        shelves = min(slots, STATEFUL_SHELVES, max(0, MOST_IDS - slots))
        return SequenceIds(shelves=shelves, sequences=slots + shelves)
    twins = slides and whole_window and 2 * slots + 3 <= MOST_IDS
    sequences = 2 * slots + 1 if twins else slots + 1
    room = MOST_IDS - sequences
    return SequenceIds(
        shelves=max(0, min(MOST_SHELVES, room // 2 if twins else room)), sequences=sequences, twins=twins
    )


class Matrix(Struct, frozen=True):
    """A kind of weights: number format and shape, fastest dimension first."""

    type: str
    shape: tuple[int, ...]


class DryRun(Struct, frozen=True, kw_only=True):
    """What the library said it would allocate for a context: bytes by device, nothing of it really taken."""

    kv_cache: Mapping[str, int] = {}
    """KV cache and running states."""
    compute: Mapping[str, int] = {}
    """Compute and output buffers."""
    layers: tuple[str, ...] = ()
    """The device of each layer, the output's last."""
    rearranged: tuple[Matrix, ...] = ()
    """Matrices that the CPU backend copies into an order of its own."""


def padded(cells: int) -> int:
    """`cells` rounded up as llama.cpp does."""
    return -(-cells // PADDING) * PADDING
