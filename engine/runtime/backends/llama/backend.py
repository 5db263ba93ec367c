"""`LlamaBackend`: the step seam over one llama.cpp context, and `open_model`, which makes it.

One KV buffer is shared by all slots and shelves (`sequences`). Used from one thread, except `interrupt`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from engine.errors import ContextOverflow, HearthError, InternalError, InvalidRequest, Unsupported
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
from engine.runtime.backends.llama import model as weights
from engine.runtime.backends.llama.adapters import Adapters
from engine.runtime.backends.llama.batch import Batch
from engine.runtime.backends.llama.buffers import allocated
from engine.runtime.backends.llama.embed_texts import Texts
from engine.runtime.backends.llama.embedder import Embedder
from engine.runtime.backends.llama.facts import facts_of
from engine.runtime.backends.llama.library import LogCapture, build, devices, last_reason, native
from engine.runtime.backends.llama.logits import Logits
from engine.runtime.backends.llama.sequences import Sequences, layout_of
from engine.runtime.backends.llama.text_reader import TextReader
from engine.runtime.backends.llama.vocabulary import Vocabulary
from engine.runtime.backends.sampling.chain import Chain
from engine.runtime.backends.sampling.logprobs import Floats, logprob_of
from engine.types import AdapterRef, MemoryUse, ModelFacts

if TYPE_CHECKING:
    from engine.runtime.backends.guide import Guide, TokenTable

_INTERRUPTED: Final = StepResult(Outcome.INTERRUPTED)
_NO_SLOT: Final = StepResult(Outcome.NO_SLOT)


class _Sequence(Struct):
    """A sequence in its slot: `tokens` known, the first `computed` of them in the KV cache."""

    slot: int
    tokens: list[int]
    chain: Chain
    guide: Guide | None
    top_logprobs: int | None
    computed: int = 0


class _Moving(Struct, frozen=True):
    """A row of the step under way: `first` is the index of its first output in the batch, `row` that in the logits."""

    sequence: _Sequence
    asked: Row
    end: int
    first: int
    row: int


class _StopFlag:
    """A flag that llama.cpp polls inside a decode without the GIL.

    The abort callback is libc's strlen over two bytes: an empty string goes on, one character stops.
    """

    def __init__(self, api: Any) -> None:
        self._bytes = ctypes.create_string_buffer(2)
        strlen = ctypes.cast(ctypes.CDLL(None).strlen, api.ggml_abort_callback)
        self.callback = (strlen, ctypes.cast(self._bytes, ctypes.c_void_p))

    def raise_(self) -> None:
        self._bytes[0] = b"\x01"

    def take(self) -> bool:
        """Whether the flag was up; it is down afterwards."""
        was_up = self._bytes[0] != b"\x00"
        self._bytes[0] = b"\x00"
        return was_up


def open_model(spec: LoadSpec, progress: Progress) -> LlamaBackend:
    """Load the GGUF file at `spec.path`.

    Raises ModelLoadFailed or InsufficientMemory with the library's reason, Unsupported for a load option that
    GGUF cannot honour, and InterruptedError when `progress` answered False.
    """
    weights.check_options(spec.options)
    with LogCapture() as log:
        model = weights.load_weights(spec, progress)
        try:
            if not progress("context", None):
                raise InterruptedError(f"Loading {spec.model} was stopped.")
            return LlamaBackend(spec, model, log.lines)
        except BaseException:
            weights.free(model, None)
            raise


class LlamaBackend:
    """A loaded GGUF model as `StepBackend`; see `engine.runtime.backends.base`.

    Once made it owns `model` (a native handle); `log` holds the lines of loading it. Raises as `open_model` does.
    """

    facts: ModelFacts

    def __init__(self, spec: LoadSpec, model: int, log: list[str]) -> None:
        api = native()
        self._api, self._spec = api, spec
        self._model: int | None = model
        self._context: int | None = None
        self._flag = _StopFlag(api)
        self._shape = shape = weights.shape_of(spec, api.llama_model_n_ctx_train(model))
        self._layout = layout_of(model, shape.slots, whole_window=shape.whole_window)
        self._vocabulary = Vocabulary(model)
        self._adapters = Adapters(model)
        self._slots: list[_Sequence | None] = [None] * shape.slots
        self._weights_log, self._context_log = log, list[str]()
        context = self._open()
        self._generates = (
            api.llama_get_memory(context) is not None
            and api.llama_model_has_decoder(model)
            and not api.llama_model_has_encoder(model)
            and not api.llama_model_is_diffusion(model)
        )
        self.facts = facts_of(
            model,
            spec.path,
            self._vocabulary,
            shape,
            self._layout,
            generates=self._generates,
            stoppable=weights.on_processor_only(spec.options),
        )
        name = self.facts.name
        self.texts = TextReader(
            Texts(model, self._vocabulary, name=name, limit=shape.context),
            Embedder(model, context, name, shape, spec.options, self._adapters, self._flag),
        )

    def _open(self) -> int:
        """Make the context (its native handle), with everything in it empty."""
        assert self._model is not None
        shape, layout = self._shape, self._layout
        with LogCapture() as log:
            context = weights.open_context(
                self._model, self._spec, shape, layout.sequences, self._flag.callback
            )
        self._context = context
        self._context_log = log.lines
        self._sequences = Sequences(context, layout)
        self._batch = Batch(shape.batch, [layout.ids_of(slot) for slot in range(shape.slots)])
        self._logits = Logits(context, max(shape.outputs, layout.sequences), self._vocabulary.size)
        self._adapters.move(context)
        return context

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

    # --- sequences ---

    @property
    def batch_limit(self) -> int:
        return self._shape.batch

    @property
    def output_limit(self) -> int:
        return self._shape.outputs

    def insert(self, spec: SequenceSpec) -> None:
        if not self._generates:
            raise Unsupported(f"{self.facts.name} cannot generate text.", "It is an encoder.")
        if self._slots[spec.slot] is not None:
            raise InternalError(f"Slot {spec.slot} is taken.")
        self._check_tokens(spec.tokens)
        chain = spec.sampler
        if not isinstance(chain, Chain):
            chain = Chain(spec.sampling, spec.seed, self._vocabulary, self._shape.context, spec.tokens)
        self._slots[spec.slot] = _Sequence(spec.slot, list(spec.tokens), chain, spec.guide, spec.top_logprobs)

    def _check_tokens(self, tokens: tuple[int, ...]) -> None:
        """llama.cpp refuses a whole batch, other sequences and all, for one bad token."""
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
        self._sequences.cut(slot, 0)
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
        return self._layout.shelves if self._generates else 0

    @property
    def cells(self) -> int:
        return self._shape.cells

    @property
    def saves_exactly(self) -> bool:
        return self._layout.twins or self._layout.windowed or self._layout.stateful

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        slots = self._shape.slots
        if source < slots and target < slots:
            given, taken = self._sequence(source).tokens, self._sequence(target).tokens
            if given[start:stop] != taken[start:stop]:
                raise InternalError(f"Slots {source} and {target} do not begin alike.")
        self._sequences.share(source, target, start, stop)
        if target < slots:
            self._sequence(target).computed = stop

    def cut(self, holder: int, count: int) -> None:
        self._sequences.cut(holder, count)

    def cuttable(self, holder: int) -> bool:
        return self._sequences.cuttable(holder)

    def save(self, shelf: int, count: int) -> memoryview:
        return self._sequences.save(shelf, count)

    def restore(self, shelf: int, state: bytes | memoryview, count: int) -> None:
        self._sequences.restore(shelf, state, count)

    @cached_property
    def identity(self) -> str:
        from engine.library.fingerprint import fingerprint
        from engine.library.gguf_parts import parts_of

        options, shape = self._spec.options, self._shape
        form = f"{options.kv_type or 'f16'} flash={options.flash_attention} whole={shape.whole_window}"
        return f"{fingerprint(*parts_of(Path(self._spec.path)))} {form} {build()}"

    def adapter_identity(self, adapters: tuple[AdapterRef, ...]) -> str:
        return self._adapters.identity(adapters)

    def rebuild(self) -> None:
        self.shrink()
        self._open()

    def shrink(self) -> None:
        self.texts.release()
        for sequence in self._slots:
            if sequence is not None:
                sequence.chain.close()
        self._slots = [None] * self._shape.slots
        if self._context is not None:
            self._api.llama_free(ctypes.c_void_p(self._context))
            self._context = None
        self._context_log = []

    # --- the step ---

    def step(self, rows: Sequence[Row]) -> StepResult:
        """One `llama_decode` over `rows`, then a draw for each sequence that it computed to its end.

        An `interrupt` that came between two steps ends the next one at once: it may have been meant for it.
        """
        if self._flag.take():
            return _INTERRUPTED
        batch = self._batch
        batch.clear()
        moving: list[_Moving] = []
        outputs = 0
        for row in rows:
            sequence = self._sequence(row.slot)
            start, end = sequence.computed, sequence.computed + row.count
            known = len(sequence.tokens)
            if not start < end <= known or batch.size + row.size > batch.capacity:
                raise InternalError(f"A step of {row.size} tokens does not fit slot {row.slot}.")
            wanted = row.outputs() if row.scored or end == known else 0
            tokens = sequence.tokens[start:end]
            if row.draft:
                tokens += row.draft
            first = batch.add(row.slot, tokens, start, outputs=wanted)
            moving.append(_Moving(sequence, row, end, first, outputs))
            outputs += wanted
        code = self._api.llama_decode(self._context, batch.native)
        if code != 0:
            return self._undone(code, moving)
        for each in moving:
            each.sequence.computed = each.end
            self._sequences.advanced(each.sequence.slot, each.end)
        result = self._read(moving, self._logits.rows() if outputs else None)
        self._flag.take()
        return result

    def _undone(self, code: int, moving: list[_Moving]) -> StepResult:
        """Put every sequence back to before the step; llama.cpp itself does so only for code 1."""
        if code == 1:
            return _NO_SLOT
        if code < -1:
            raise StateLost("llama.cpp broke off in a step.", f"{last_reason()} (code {code})")
        for each in moving:
            self._sequences.cut(each.sequence.slot, each.sequence.computed)
        if code == 2:
            self._flag.take()
            return _INTERRUPTED
        raise InternalError("llama.cpp could not compute a step.", f"{last_reason()} (code {code})")

    def _read(self, moving: list[_Moving], logits: Floats | None) -> StepResult:
        """Draw where a sequence is at its end, and score the known tokens that were asked about."""
        if logits is None:
            return StepResult(Outcome.OK)
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
                    drawn += self._draw(sequence, row.draft, each.first + offset, logits[each.row + offset :])
                except HearthError as error:
                    failed.append(Failure(sequence.slot, error))
        return StepResult(Outcome.OK, tuple(drawn), tuple(scored), tuple(failed))

    def _draw(self, sequence: _Sequence, draft: tuple[int, ...], first: int, logits: Floats) -> list[Sampled]:
        """The token after the sequence, and those after each guess that was the token drawn."""
        drawn: list[Sampled] = []
        known = len(sequence.tokens)
        for index in range(1 + len(draft)):
            row = logits[index]
            assert self._context is not None
            token = sequence.chain.sample(row, sequence.guide, place=(self._context, first + index))
            logprob = None
            if sequence.top_logprobs is not None:
                logprob = logprob_of(row, token, sequence.top_logprobs, self._vocabulary.piece)
            sequence.tokens.append(token)
            drawn.append(Sampled(sequence.slot, token, logprob))
            if index == len(draft) or token != draft[index] or token in self._vocabulary.end_tokens:
                break
        if draft:
            sequence.computed = known + len(drawn) - 1
            self._sequences.advanced(sequence.slot, known + len(draft))
            self._sequences.cut(sequence.slot, sequence.computed)
        return drawn

    def _score(self, moved: _Moving, logits: Floats) -> Scored:
        """How likely each token after the first of the row was; the one after its last only where it is known."""
        tokens, count = moved.sequence.tokens, moved.asked.count
        start = moved.end - count + 1
        top = moved.sequence.top_logprobs or 0
        known = tokens[start : moved.end + 1]
        return Scored(
            moved.sequence.slot,
            start,
            tuple(
                logprob_of(logits[moved.row + index], token, top, self._vocabulary.piece)
                for index, token in enumerate(known)
            ),
        )

    def interrupt(self) -> None:
        if self.facts.capabilities.cancel_in_prefill:
            self._flag.raise_()

    # --- the whole model ---

    def set_adapters(self, adapters: tuple[AdapterRef, ...]) -> None:
        self._adapters.use(adapters)

    def memory(self) -> MemoryUse:
        import psutil

        held = allocated([*self._weights_log, *self._context_log, *self.texts.log], devices())
        return MemoryUse(
            weights=sum(each.weights for each in held),
            kv_cache=sum(each.kv_cache for each in held),
            compute=sum(each.compute for each in held),
            devices=held,
            resident=psutil.Process().memory_info().rss,
        )

    def close(self) -> None:
        if self._model is None:
            return
        self.shrink()
        weights.free(self._model, None)
        self._model = None
