"""`FolderBackend`: the step seam over a model folder, whatever library computes it (`library`).

A step is one pass over the tokens of all its rows. So continuous batching, chunked prefill, shared prefixes, guesses
and scores work as they do for GGUF.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Final

import psutil

from engine.errors import HearthError, InternalError
from engine.library.model_folder import ModelFolder
from engine.runtime.backends.base import (
    LoadSpec,
    Outcome,
    Row,
    SequenceSpec,
    StepResult,
)
from engine.runtime.backends.embedding.texts import EmbedTexts
from engine.runtime.backends.folder.facts import facts_of, shape_of
from engine.runtime.backends.folder.library import Interrupted, Library, Part
from engine.runtime.backends.folder.loading import ran_out
from engine.runtime.backends.folder.texts import AT_ONCE, TextReader, pooling_of
from engine.runtime.backends.folder.vocabulary import Vocabulary
from engine.runtime.backends.out_of_memory import is_out_of_memory
from engine.runtime.backends.sampling.chain import Chain
from engine.runtime.backends.slots import Moving, Slots, SlotSequence
from engine.runtime.backends.text import Text
from engine.types import AdapterRef, MemoryUse, ModelFacts

SHELVES: Final = 32
_INTERRUPTED: Final = StepResult(Outcome.INTERRUPTED)
_NO_SLOT: Final = StepResult(Outcome.NO_SLOT)


class FolderBackend(Text):
    """A loaded model folder as `StepBackend`; see `engine.runtime.backends.base`. It owns `library`."""

    facts: ModelFacts

    def __init__(
        self, spec: LoadSpec, folder: ModelFolder, vocabulary: Vocabulary, library: Library, backend: str
    ) -> None:
        super().__init__(vocabulary)
        self.media = library.media
        self._folder, self._library = folder, library
        self._holders = library.holders
        self._shape = shape = shape_of(spec, folder)
        self._slots = Slots(shape.slots, shape.context, vocabulary)
        self.facts = facts_of(folder, vocabulary, shape, backend, sees=library.media is not None)
        first = shape.slots + SHELVES
        self._texts = TextReader(
            EmbedTexts(
                vocabulary,
                name=self.facts.name,
                limit=shape.context,
                width=folder.number("hidden_size") or folder.number("n_embd"),
                pooling=pooling_of(folder),
                endings=vocabulary.end_tokens,
            ),
            library,
            range(first, first + AT_ONCE),
            self.facts.name,
        )

    @property
    def texts(self) -> TextReader:
        return self._texts

    # --- sequences ---

    @property
    def batch_limit(self) -> int:
        return self._shape.batch

    @property
    def output_limit(self) -> int:
        return self._shape.outputs

    def insert(self, spec: SequenceSpec) -> None:
        self._slots.insert(spec)

    def amend(self, slot: int, count: int, tokens: Sequence[int]) -> None:
        self._slots.amend(slot, count, tokens)
        if self._holders.count(slot) > count:
            self._holders.cut(slot, count)

    def suspend(self, slot: int) -> Chain:
        chain = self._slots.leave(slot)
        self._holders.cut(slot, 0)
        return chain

    def remove(self, slot: int) -> None:
        self.suspend(slot).close()

    # --- state on slots and shelves ---

    @property
    def shelves(self) -> int:
        return SHELVES

    @property
    def cells(self) -> int:
        return self._shape.cells

    @property
    def saves_exactly(self) -> bool:
        return False

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        with self._copying(target):
            self._holders.share(source, target, start, stop)

    def cut(self, holder: int, count: int) -> None:
        self._holders.cut(holder, count)

    def cuttable(self, holder: int) -> bool:
        return True

    def save(self, shelf: int, count: int) -> memoryview:
        with self._copying(shelf):
            return self._holders.save(shelf, count)

    def restore(self, shelf: int, state: bytes | memoryview, count: int) -> None:
        with self._copying(shelf):
            self._holders.restore(shelf, state, count)

    @contextmanager
    def _copying(self, holder: int) -> Iterator[None]:
        """Turns memory that runs out meanwhile into an error of ours; `holder` then has what it had."""
        had = self._holders.count(holder)
        try:
            yield
        except HearthError:
            raise
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._holders.cut(holder, had)
            raise ran_out(self.facts.name, error) from None

    @cached_property
    def identity(self) -> str:
        from engine.library.model_folder import fingerprint

        return f"{fingerprint(self._folder)} {self._library.form}"

    def adapter_identity(self, adapters: tuple[AdapterRef, ...]) -> str:
        return self._library.adapters.identity(adapters)

    def rebuild(self) -> None:
        self.shrink()
        self._library.adapters.use(())

    def shrink(self) -> None:
        self._slots.clear()
        self._texts.release()
        self._holders.clear()

    # --- the step ---

    def step(self, rows: Sequence[Row]) -> StepResult:
        """One forward pass over `rows`, then a draw for each sequence that it computed to its end."""
        if self._library.interrupted():
            return _INTERRUPTED
        if self._holders.tokens + sum(row.size for row in rows) > self._shape.cells:
            return _NO_SLOT
        parts: list[Part] = []
        moving: list[Moving] = []
        outputs = 0
        for row in rows:
            sequence = self._slots.of(row.slot)
            start = self._holders.count(row.slot)
            end = start + row.count
            if not start < end <= len(sequence.tokens) or end + len(row.draft) > self._shape.context:
                raise InternalError(f"A step of {row.size} tokens does not fit slot {row.slot}.")
            wanted = row.outputs() if row.scored or end == len(sequence.tokens) else 0
            tokens = [*sequence.tokens[start:end], *row.draft]
            parts.append(Part(row.slot, tokens, start, wanted, sequence.spans))
            moving.append(Moving(sequence, row, end, outputs))
            outputs += wanted
        try:
            logits = self._library.logits(parts)
        except Interrupted:
            return _INTERRUPTED
        for each in moving:
            self._holders.advanced(each.sequence.slot, each.end)
        self._library.interrupted()
        return self._slots.results(moving, logits, self._cut_back) if outputs else StepResult(Outcome.OK)

    def _cut_back(self, sequence: SlotSequence, count: int) -> None:
        """Forget the guesses that were wrong: what lies behind is written over."""
        self._holders.advanced(sequence.slot, sequence.computed)

    def interrupt(self) -> None:
        self._library.interrupt()

    # --- the whole model ---

    def set_adapters(self, adapters: tuple[AdapterRef, ...]) -> None:
        self._library.adapters.use(adapters)

    def memory(self) -> MemoryUse:
        return MemoryUse(
            weights=self._library.weight_bytes,
            kv_cache=self._holders.size,
            resident=psutil.Process().memory_info().rss,
        )

    def close(self) -> None:
        self.shrink()
        self._library.close()
