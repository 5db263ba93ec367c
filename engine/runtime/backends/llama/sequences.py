"""Slots and shelves as sequence ids of one llama.cpp memory: what may share cells with what, and be cut where.

Three kinds of memory behave differently (llama-kv-cache.cpp, llama-memory-recurrent.cpp):

- plain attention: cells belong to any number of sequences; every cut and partial share is exact;
- sliding windows, held whole: the library reuses a cell that has left the window of the only sequence that has it. So
  each sequence here is two ids for the library, a *twin* beside it, and no cell ever has just one: everything can be
  cut. Held as a window only, or read back from a file, a state serves its own end alone;
- recurrent and hybrid: one running state per sequence, which serves its own end alone.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from msgspec import Struct

from engine.errors import InternalError
from engine.library.shape import sequence_ids
from engine.runtime.backends.llama.library import last_reason, native
from engine.runtime.backends.media import Span, position_of


class Layout(Struct, frozen=True, kw_only=True):
    """How ids are given out. `sequences` is the `n_seq_max` that the context must be opened with."""

    slots: int
    shelves: int
    sequences: int
    stateful: bool = False
    """Recurrent or hybrid."""
    windowed: bool = False
    """Sliding windows of which only the window is held."""
    twins: bool = False

    @property
    def transfer(self) -> int:
        """The id by way of which attention state is saved: the library writes only ids below `n_seq_max`."""
        return self.sequences - 1

    def ids_of(self, holder: int) -> tuple[int, ...]:
        """The library's ids of a slot (below `slots`) or shelf (from `slots` on): its own, and its twin's.

        Ids in a batch must lie below `sequences`, so those of slots and their twins come first.
        """
        shelf = holder - self.slots
        if self.stateful or (shelf < 0 and not self.twins):
            return (holder,)
        if shelf < 0:
            return holder, self.slots + holder
        own = self.sequences + shelf
        return (own, own + self.shelves) if self.twins else (own,)


def layout_of(model: int, slots: int, *, whole_window: bool) -> Layout:
    """The layout for the loaded weights `model` (a native handle)."""
    api = native()
    stateful = bool(api.llama_model_is_recurrent(model) or api.llama_model_is_hybrid(model))
    slides = not stateful and api.llama_model_n_swa(model) > 0
    ids = sequence_ids(slots, stateful=stateful, slides=slides, whole_window=whole_window)
    return Layout(
        slots=slots,
        shelves=ids.shelves,
        sequences=ids.sequences,
        stateful=stateful,
        windowed=slides and not ids.twins,
        twins=ids.twins,
    )


class Sequences:
    """Moves state between holders of one context. `count` of a holder is how many computed tokens it has."""

    def __init__(self, context: int, layout: Layout) -> None:
        self._api = native()
        self._context = context
        self._memory: Any = self._api.llama_get_memory(context)
        self.layout = layout
        holders = layout.slots + layout.shelves
        self._counts = [0] * holders
        self._spans: list[tuple[Span, ...]] = [()] * holders
        """Pictures of a sequence whose positions are not those of words."""
        self._exact = [layout.stateful or layout.windowed] * holders

    def count(self, holder: int) -> int:
        return self._counts[holder]

    def describe(self, holder: int, spans: tuple[Span, ...]) -> None:
        """Tell which pictures are among all tokens, also those to come, of the sequence in the slot `holder`."""
        self._spans[holder] = tuple(span for span in spans if span.advance != span.count)

    def position(self, holder: int, index: int) -> int:
        """The position of the token at `index`."""
        spans = self._spans[holder]
        return position_of(spans, index) if spans else index

    def advanced(self, holder: int, count: int) -> None:
        """A step has computed `holder` up to `count` tokens."""
        self._counts[holder] = count

    def cuttable(self, holder: int) -> bool:
        return not self._exact[holder]

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        """See `StepBackend.share`."""
        exact = self._exact[source]
        if self._counts[target] != start or stop > self._counts[source]:
            raise InternalError(f"Holder {target} cannot have tokens {start} to {stop} of holder {source}.")
        if exact and (start != 0 or stop != self._counts[source]):
            raise InternalError(f"The state of holder {source} cannot be shared in part.")
        origin = self.layout.ids_of(source)[0]
        first, last = (-1, -1) if exact else (self.position(source, start), self.position(source, stop))
        for target_id in self.layout.ids_of(target):
            self._api.llama_memory_seq_cp(self._memory, origin, target_id, first, last)
        self._counts[target] = stop
        self._exact[target] = exact
        self._spans[target] = (
            *(span for span in self._spans[target] if span.start < start),
            *(span for span in self._spans[source] if start <= span.start < stop),
            *(span for span in self._spans[target] if span.start >= stop),
        )

    def cut(self, holder: int, count: int) -> None:
        """See `StepBackend.cut`. Also undoes a step that went wrong, for `count` tokens that are still computed."""
        if count == 0:
            for each in self.layout.ids_of(holder):
                self._api.llama_memory_seq_rm(self._memory, each, -1, -1)
            self._exact[holder] = self.layout.stateful or self.layout.windowed
        else:
            position = self.position(holder, count)
            for each in self.layout.ids_of(holder):
                if not self._api.llama_memory_seq_rm(self._memory, each, position, -1):
                    raise InternalError(f"The state of holder {holder} cannot be cut back.")
        if holder >= self.layout.slots:
            # A slot is told once of all that its sequence will have.
            self._spans[holder] = tuple(span for span in self._spans[holder] if span.start < count)
        self._counts[holder] = count

    def save(self, holder: int, count: int) -> memoryview:
        """The state of the first `count` tokens of `holder` as the library writes it."""
        api, layout = self._api, self.layout
        if self._spans[holder]:
            raise InternalError("A sequence with pictures of this model is not saved.")
        if count != self._counts[holder] and (self._exact[holder] or count > self._counts[holder]):
            raise InternalError(f"The state of holder {holder} cannot be saved at {count} tokens.")
        source = layout.ids_of(holder)[0]
        if not layout.stateful:
            last = -1 if count == self._counts[holder] else count
            api.llama_memory_seq_cp(self._memory, source, layout.transfer, -1, last)
            source = layout.transfer
        try:
            size = api.llama_state_seq_get_size(self._context, source)
            data = np.empty(size, np.uint8)
            pointer = ctypes.cast(data.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
            written = api.llama_state_seq_get_data(self._context, pointer, size, source)
        finally:
            if not layout.stateful:
                api.llama_memory_seq_rm(self._memory, source, -1, -1)
        if written != size:
            raise InternalError("The state of a sequence could not be saved.", last_reason())
        return data.data

    def restore(self, holder: int, state: memoryview | bytes, count: int) -> None:
        """Put a saved state of `count` tokens into the empty `holder`. Raises InternalError if it does not fit."""
        api, layout = self._api, self.layout
        own, *twins = layout.ids_of(holder)
        target = own if layout.stateful else layout.transfer
        data = np.frombuffer(state, np.uint8)
        pointer = ctypes.cast(data.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
        read = api.llama_state_seq_set_data(self._context, pointer, len(data), target)
        last = api.llama_memory_seq_pos_max(self._memory, target)
        if read != len(data) or last != count - 1:
            api.llama_memory_seq_rm(self._memory, target, -1, -1)
            raise InternalError("A saved state could not be read back.", last_reason())
        if not layout.stateful:
            for each in (own, *twins):
                api.llama_memory_seq_cp(self._memory, target, each, -1, -1)
            api.llama_memory_seq_rm(self._memory, target, -1, -1)
        self._counts[holder] = count
        # The library leaves out what has slid out of a window.
        self._exact[holder] = layout.stateful or layout.windowed or layout.twins
