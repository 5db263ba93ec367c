"""`FolderBackend`: the step seam over a model folder, whatever library computes it (`library`).

A step is one pass over the tokens of all its rows. So continuous batching, chunked prefill, shared prefixes, guesses
and scores work as they do for GGUF.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

import psutil
from msgspec import Struct

from engine.errors import ContextOverflow, HearthError, InternalError, InvalidRequest
from engine.library.model_folder import ModelFolder
from engine.runtime.backends.base import (
    Failure,
    LoadSpec,
    Outcome,
    Row,
    Sampled,
    Scored,
    SequenceSpec,
    StepResult,
)
from engine.runtime.backends.embedding.texts import EmbedTexts
from engine.runtime.backends.folder.facts import facts_of, shape_of
from engine.runtime.backends.folder.library import Interrupted, Library, Part
from engine.runtime.backends.folder.texts import AT_ONCE, TextReader, pooling_of
from engine.runtime.backends.folder.vocabulary import Vocabulary
from engine.runtime.backends.sampling.chain import Chain
from engine.runtime.backends.sampling.logprobs import Floats, logprob_of
from engine.types import AdapterRef, MemoryUse, ModelFacts

if TYPE_CHECKING:
    from engine.runtime.backends.guide import Guide, TokenTable

SHELVES: Final = 32
_INTERRUPTED: Final = StepResult(Outcome.INTERRUPTED)
_NO_SLOT: Final = StepResult(Outcome.NO_SLOT)


class _Sequence(Struct):
    """A sequence in its slot: `tokens` known, as many computed as its holder has."""

    slot: int
    tokens: list[int]
    chain: Chain
    guide: Guide | None
    top_logprobs: int | None


class _Moving(Struct, frozen=True):
    """A row of the step under way: where it ends in its sequence, and its first row of the logits."""

    sequence: _Sequence
    asked: Row
    end: int
    row: int


class FolderBackend:
    """A loaded model folder as `StepBackend`; see `engine.runtime.backends.base`. It owns `library`."""

    facts: ModelFacts

    def __init__(
        self, spec: LoadSpec, folder: ModelFolder, vocabulary: Vocabulary, library: Library, backend: str
    ) -> None:
        self._spec, self._folder = spec, folder
        self._vocabulary, self._library = vocabulary, library
        self._holders = library.holders
        self._shape = shape = shape_of(spec, folder)
        self._slots: list[_Sequence | None] = [None] * shape.slots
        self.facts = facts_of(folder, vocabulary, shape, backend)
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

    # --- text ---

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._vocabulary.tokenize(text, add_special=add_special, parse_special=parse_special)

    def piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token)

    def special_text(self, token: int) -> str:
        return self._vocabulary.special_text(token)

    def token_of(self, text: str) -> int | None:
        return self._vocabulary.token_of(text)

    def token_table(self) -> TokenTable:
        return self._vocabulary.token_table()

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
        if self._slots[spec.slot] is not None:
            raise InternalError(f"Slot {spec.slot} is taken.")
        self._check_tokens(spec.tokens)
        chain = spec.sampler
        if not isinstance(chain, Chain):
            chain = Chain(spec.sampling, spec.seed, self._vocabulary, self._shape.context, spec.tokens)
        self._slots[spec.slot] = _Sequence(spec.slot, list(spec.tokens), chain, spec.guide, spec.top_logprobs)

    def _check_tokens(self, tokens: tuple[int, ...]) -> None:
        if not tokens:
            raise InvalidRequest("There is nothing to generate from.", "The prompt holds no token.")
        if len(tokens) > self._shape.context:
            raise ContextOverflow(
                "The prompt does not fit the context window.",
                f"It has {len(tokens)} tokens, the window {self._shape.context}.",
            )
        if min(tokens) < 0 or max(tokens) >= self._vocabulary.size:
            raise InvalidRequest(
                "The prompt holds a token that the model does not have.",
                f"Its tokens are 0 to {self._vocabulary.size - 1}.",
                param="tokens",
            )

    def suspend(self, slot: int) -> Chain:
        chain = self._sequence(slot).chain
        self._holders.cut(slot, 0)
        self._slots[slot] = None
        return chain

    def remove(self, slot: int) -> None:
        self.suspend(slot).close()

    def _sequence(self, slot: int) -> _Sequence:
        sequence = self._slots[slot]
        if sequence is None:
            raise InternalError(f"Slot {slot} holds no sequence.")
        return sequence

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
        self._holders.share(source, target, start, stop)

    def cut(self, holder: int, count: int) -> None:
        self._holders.cut(holder, count)

    def cuttable(self, holder: int) -> bool:
        return True

    def save(self, shelf: int, count: int) -> memoryview:
        return self._holders.save(shelf, count)

    def restore(self, shelf: int, state: bytes | memoryview, count: int) -> None:
        self._holders.restore(shelf, state, count)

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
        for sequence in self._slots:
            if sequence is not None:
                sequence.chain.close()
        self._slots = [None] * self._shape.slots
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
        moving: list[_Moving] = []
        outputs = 0
        for row in rows:
            sequence = self._sequence(row.slot)
            start = self._holders.count(row.slot)
            end = start + row.count
            if not start < end <= len(sequence.tokens) or end + len(row.draft) > self._shape.context:
                raise InternalError(f"A step of {row.size} tokens does not fit slot {row.slot}.")
            wanted = row.outputs() if row.scored or end == len(sequence.tokens) else 0
            parts.append(Part(row.slot, [*sequence.tokens[start:end], *row.draft], start, wanted))
            moving.append(_Moving(sequence, row, end, outputs))
            outputs += wanted
        try:
            logits = self._library.logits(parts)
        except Interrupted:
            return _INTERRUPTED
        for each in moving:
            self._holders.advanced(each.sequence.slot, each.end)
        self._library.interrupted()
        return self._read(moving, logits) if outputs else StepResult(Outcome.OK)

    def _read(self, moving: list[_Moving], logits: Floats) -> StepResult:
        """Draw where a sequence is at its end, and score the known tokens that were asked about."""
        drawn: list[Sampled] = []
        scored: list[Scored] = []
        failed: list[Failure] = []
        for each in moving:
            sequence, row = each.sequence, each.asked
            offset = 0
            if row.scored:
                scored.append(self._score(each, logits))
                offset = row.count - 1
            if each.end == len(sequence.tokens):
                try:
                    drawn += self._draw(sequence, row.draft, logits[each.row + offset :])
                except HearthError as error:
                    failed.append(Failure(sequence.slot, error))
        return StepResult(Outcome.OK, tuple(drawn), tuple(scored), tuple(failed))

    def _draw(self, sequence: _Sequence, draft: tuple[int, ...], logits: Floats) -> list[Sampled]:
        """The token after the sequence, and those after each guess that was the token drawn."""
        drawn: list[Sampled] = []
        known = len(sequence.tokens)
        for index in range(1 + len(draft)):
            row = logits[index]
            token = sequence.chain.sample(row, sequence.guide)
            logprob = None
            if sequence.top_logprobs is not None:
                logprob = logprob_of(row, token, sequence.top_logprobs, self._vocabulary.piece)
            sequence.tokens.append(token)
            drawn.append(Sampled(sequence.slot, token, logprob))
            if index == len(draft) or token != draft[index] or token in self._vocabulary.end_tokens:
                break
        self._holders.advanced(sequence.slot, known + len(drawn) - 1)
        return drawn

    def _score(self, moved: _Moving, logits: Floats) -> Scored:
        """How likely each token after the first of the row was; the one after its last only where it is known."""
        tokens, count = moved.sequence.tokens, moved.asked.count
        start = moved.end - count + 1
        top = moved.sequence.top_logprobs or 0
        return Scored(
            moved.sequence.slot,
            start,
            tuple(
                logprob_of(logits[moved.row + index], token, top, self._vocabulary.piece)
                for index, token in enumerate(tokens[start : moved.end + 1])
            ),
        )

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
