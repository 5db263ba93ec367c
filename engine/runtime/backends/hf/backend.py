"""`HfBackend`: the step seam over a model of transformers, and `open_model`, which makes it.

A step is one forward pass over the tokens of all its rows, laid one behind the other; `attention` keeps the sequences
apart. So continuous batching, chunked prefill, shared prefixes and guesses work as on every other backend, for any
model whose layers attend through transformers' interface. Whether a model's do is tried when it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import Struct

from engine.errors import ContextOverflow, HearthError, InternalError, InvalidRequest, Unsupported
from engine.library.model_folder import ModelFolder
from engine.runtime.backends.base import (
    Failure,
    LoadSpec,
    Outcome,
    Progress,
    Row,
    Sampled,
    Scored,
    SequenceSpec,
    StateLost,
    StepResult,
)
from engine.runtime.backends.embedding.texts import EmbedTexts
from engine.runtime.backends.hf import attention as ragged
from engine.runtime.backends.hf import model as weights
from engine.runtime.backends.hf.adapters import Adapters
from engine.runtime.backends.hf.facts import facts_of, shape_of
from engine.runtime.backends.hf.holders import Holders
from engine.runtime.backends.hf.texts import AT_ONCE, TextReader, pooling_of
from engine.runtime.backends.hf.vocabulary import Vocabulary
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


def open_model(spec: LoadSpec, progress: Progress) -> HfBackend:
    """Load the folder at `spec.path`.

    Raises ModelLoadFailed or InsufficientMemory with the library's reason, Unsupported for a load option or a
    model that cannot be served, and InterruptedError when `progress` answered False.
    """
    weights.check_options(spec.options)
    folder = weights.folder_of(spec)
    vocabulary = Vocabulary(folder.path, folder.number("vocab_size") or None)
    shape = shape_of(spec, folder)
    holders = Holders(shape.slots + SHELVES + AT_ONCE, shape.context)
    attention = ragged.Attention(holders)
    weights.prepare_process()
    model = weights.load(spec, folder, "eager", progress)
    return HfBackend(spec, folder, vocabulary, model, attention, holders)


class HfBackend:
    """A loaded model of transformers as `StepBackend`; see `engine.runtime.backends.base`."""

    facts: ModelFacts

    def __init__(
        self,
        spec: LoadSpec,
        folder: ModelFolder,
        vocabulary: Vocabulary,
        model: Any,
        attention: ragged.Attention,
        holders: Holders,
    ) -> None:
        import torch

        self._torch = torch
        self._spec, self._folder = spec, folder
        self._model: Any = model
        self._vocabulary, self._attention, self._holders = vocabulary, attention, holders
        self._shape = shape = shape_of(spec, folder)
        self._adapters = Adapters(model)
        self._slots: list[_Sequence | None] = [None] * shape.slots
        self._device = model.device
        self._layers = folder.number("num_hidden_layers") or folder.number("n_layer")
        self.facts = facts_of(folder, vocabulary, shape)
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
            self._states,
            holders,
            range(first, first + AT_ONCE),
            self.facts.name,
        )
        if spec.options.threads:
            torch.set_num_threads(spec.options.threads)
        self._check()

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
        self._holders.restore(shelf, state, count, next(self._model.parameters()))

    @cached_property
    def identity(self) -> str:
        import transformers

        from engine.library.model_folder import fingerprint

        options = self._spec.options
        kind = (
            f"{self._model.dtype} {self._device.type} 4bit={options.load_in_4bit} 8bit={options.load_in_8bit}"
        )
        return f"{fingerprint(self._folder)} {kind} transformers {transformers.__version__}"

    def adapter_identity(self, adapters: tuple[AdapterRef, ...]) -> str:
        return self._adapters.identity(adapters)

    def rebuild(self) -> None:
        self.shrink()
        self._adapters.use(())

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
        if self._attention.stop.is_set():
            self._attention.stop.clear()
            return _INTERRUPTED
        if self._holders.tokens + sum(row.size for row in rows) > self._shape.cells:
            return _NO_SLOT
        tokens: list[int] = []
        pieces: list[ragged.Piece] = []
        wanted: list[int] = []
        moving: list[_Moving] = []
        for row in rows:
            sequence = self._sequence(row.slot)
            start = self._holders.count(row.slot)
            end = start + row.count
            if not start < end <= len(sequence.tokens) or end + len(row.draft) > self._shape.context:
                raise InternalError(f"A step of {row.size} tokens does not fit slot {row.slot}.")
            begin = len(tokens)
            tokens += [*sequence.tokens[start:end], *row.draft]
            pieces.append(ragged.Piece(row.slot, begin, len(tokens), start))
            moving.append(_Moving(sequence, row, end, len(wanted)))
            if row.scored or end == len(sequence.tokens):
                wanted += range(len(tokens) - row.outputs(), len(tokens))
        try:
            logits = self._forward(tokens, pieces, wanted)
        except ragged.Interrupted:
            self._attention.stop.clear()
            return _INTERRUPTED
        for each in moving:
            self._holders.advanced(each.sequence.slot, each.end)
        self._attention.stop.clear()
        return self._read(moving, logits) if wanted else StepResult(Outcome.OK)

    def _forward(self, tokens: list[int], pieces: list[ragged.Piece], wanted: list[int]) -> Floats:
        """Logits, float32 [len(wanted), vocabulary], behind the `wanted` tokens of the pass."""
        with self._broken():
            kept = self._torch.tensor(wanted or [0], device=self._device)
            found = self._model(**self._laid(tokens, pieces), logits_to_keep=kept)
            logits: Floats = found.logits[0].float().cpu().numpy()
        return logits

    def _states(
        self, tokens: list[int], pieces: Sequence[ragged.Piece], adapters: tuple[AdapterRef, ...]
    ) -> Floats:
        """Hidden states behind every token of the pass, after the last norm, float32 [tokens, width]."""
        held = self._adapters.held
        self._adapters.use(adapters)
        try:
            with self._broken():
                found = self._model.base_model(**self._laid(tokens, pieces))
                states: Floats = found.last_hidden_state[0].float().cpu().numpy()
        except ragged.Interrupted:
            self._attention.stop.clear()
            raise
        finally:
            self._adapters.use(held)
        return states

    def _laid(self, tokens: list[int], pieces: Sequence[ragged.Piece]) -> dict[str, Any]:
        """The arguments of a pass over `tokens`, which are those of `pieces` one behind the other."""
        self._attention.pieces = pieces
        positions = [piece.start + index for piece in pieces for index in range(piece.count)]
        return {
            "input_ids": self._torch.tensor([tokens], device=self._device),
            "position_ids": self._torch.tensor([positions], device=self._device),
            "use_cache": False,
        }

    @contextmanager
    def _broken(self) -> Iterator[None]:
        """Turns what torch raises into an error of ours; the state of no sequence has changed by it."""
        try:
            with self._torch.inference_mode():
                yield
        except (HearthError, ragged.Interrupted):
            raise
        except (MemoryError, self._torch.OutOfMemoryError) as error:
            raise weights.out_of_memory(self.facts.name, error) from None
        except RuntimeError as error:
            if "allocate" in str(error):
                raise weights.out_of_memory(self.facts.name, error) from None
            if self._device.type == "cuda" and "CUDA error" in str(error):
                raise StateLost("The GPU broke off in a step.", f"{error}") from None
            raise InternalError("transformers could not compute a step.", f"{error}") from None

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
        self._attention.stop.set()

    # --- the whole model ---

    def set_adapters(self, adapters: tuple[AdapterRef, ...]) -> None:
        self._adapters.use(adapters)

    def memory(self) -> MemoryUse:
        return MemoryUse(
            weights=sum(each.nbytes for each in self._model.parameters()),
            kv_cache=self._holders.size,
            resident=_resident(),
        )

    def close(self) -> None:
        self.shrink()
        self._model = None
        if self._device.type == "cuda":
            self._torch.cuda.empty_cache()

    def _check(self) -> None:
        """Hold passes of ours against one of the library's own, and refuse a model that they do not serve.

        A sequence beside another, and then in two parts, must come to what the model says of it alone.
        """
        tokens = [token % self._vocabulary.size for token in (5, 17, 3, 29, 11)]
        with self._broken():
            alone = self._model(input_ids=self._torch.tensor([tokens], device=self._device), use_cache=False)
            expected = alone.logits[0, -1].float().cpu().numpy()
        self._model.set_attn_implementation(ragged.install(self._attention))
        beside = [ragged.Piece(0, 0, 3, 0), ragged.Piece(self._shape.slots, 3, 8, 0)]
        whole = self._forward([*tokens[:3], *tokens], beside, [7])[0]
        parted = self._forward(tokens[3:], [ragged.Piece(0, 0, 2, 3)], [1])[0]
        self._holders.clear()
        calls = self._attention.calls == 2 * self._layers
        # Half precision rounds at every layer, and otherwise for another order of sums.
        alike = 0.9999 if self._model.dtype == self._torch.float32 else 0.99
        if not calls or min(_cosine(row, expected) for row in (whole, parted)) < alike:
            raise Unsupported(
                f"{self.facts.name} cannot be served by the transformers backend.",
                "Its layers do not all attend through transformers' interface, or keep more than keys and values.",
                "Use a GGUF file of the model.",
                param="model",
            )


def _cosine(one: Floats, other: Floats) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
