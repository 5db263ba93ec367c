"""`LlamaBackend`: the step seam over one llama.cpp context, and `open_model`, which makes it.

One KV buffer is shared by all slots; a sequence id is a slot. Used from one thread, except `interrupt`.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from engine.errors import ContextOverflow, InternalError, InvalidRequest, Unsupported
from engine.runtime.backends.base import (
    LoadSpec,
    Outcome,
    Progress,
    Row,
    Sampled,
    SequenceSpec,
    StepResult,
)
from engine.runtime.backends.llama import model as weights
from engine.runtime.backends.llama.adapters import Adapters
from engine.runtime.backends.llama.batch import Batch
from engine.runtime.backends.llama.facts import facts_of
from engine.runtime.backends.llama.library import LogCapture, last_reason, native
from engine.runtime.backends.llama.logits import Logits, logprob_of
from engine.runtime.backends.llama.samplers import Chain
from engine.runtime.backends.llama.vocabulary import Vocabulary
from engine.types import AdapterRef, MemoryUse, ModelFacts

# "load_tensors:   CPU_Mapped model buffer size =     0.31 MiB"; one line for each device and kind.
_BUFFER: Final = re.compile(r"(model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB")
_INTERRUPTED: Final = StepResult(Outcome.INTERRUPTED)
_NO_SLOT: Final = StepResult(Outcome.NO_SLOT)


class _Sequence(Struct):
    """A sequence in its slot: `tokens` known, the first `computed` of them in the KV cache."""

    slot: int
    tokens: list[int]
    chain: Chain
    top_logprobs: int | None
    computed: int = 0


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
    api = native()
    with LogCapture() as log:
        model = weights.load_weights(spec, progress)
        context = None
        try:
            if not progress("context", None):
                raise InterruptedError(f"Loading {spec.model} was stopped.")
            flag = _StopFlag(api)
            shape = weights.shape_of(spec, api.llama_model_n_ctx_train(model))
            context = weights.open_context(model, spec, shape, flag.callback)
            return LlamaBackend(spec, shape, model, context, flag, log.lines)
        except BaseException:
            weights.free(model, context)
            raise


class LlamaBackend:
    """A loaded GGUF model as `StepBackend`; see `engine.runtime.backends.base`.

    Once made it owns `model` and `context` (native handles); `log` holds the lines of loading them.
    """

    facts: ModelFacts

    def __init__(
        self, spec: LoadSpec, shape: weights.Shape, model: int, context: int, flag: _StopFlag, log: list[str]
    ) -> None:
        api = native()
        self._api, self._shape, self._flag, self._context = api, shape, flag, context
        self._model: int | None = model
        self._memory: int | None = api.llama_get_memory(context)
        self._vocabulary = Vocabulary(model)
        self._generates = (
            self._memory is not None
            and api.llama_model_has_decoder(model)
            and not api.llama_model_has_encoder(model)
            and not api.llama_model_is_diffusion(model)
        )
        self.facts = facts_of(
            model,
            spec.path,
            self._vocabulary,
            shape,
            generates=self._generates,
            stoppable=weights.on_processor_only(spec.options),
        )
        self._batch = Batch(shape.batch, shape.slots)
        self._logits = Logits(context, shape.slots, self._vocabulary.size)
        self._adapters = Adapters(model, context)
        self._slots: list[_Sequence | None] = [None] * shape.slots
        self._allocated = _allocated(log)

    # --- text ---

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._vocabulary.tokenize(text, add_special=add_special, parse_special=parse_special)

    def piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token)

    def special_text(self, token: int) -> str:
        return self._vocabulary.special_text(token)

    # --- sequences ---

    @property
    def batch_limit(self) -> int:
        return self._shape.batch

    def insert(self, spec: SequenceSpec) -> None:
        if not self._generates:
            raise Unsupported(f"{self.facts.name} cannot generate text.", "It is an encoder.")
        if spec.constraint is not None:
            kind = spec.constraint.kind
            raise Unsupported(
                f"Output constrained by `{kind}` is not offered by this backend.", param="constraint"
            )
        if self._slots[spec.slot] is not None:
            raise InternalError(f"Slot {spec.slot} is taken.")
        self._check_tokens(spec.tokens)
        chain = Chain(spec.sampling, spec.seed, self._vocabulary, self._shape.context, spec.tokens)
        self._slots[spec.slot] = _Sequence(spec.slot, list(spec.tokens), chain, spec.top_logprobs)

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

    def fork(self, source: int, target: int, count: int) -> None:
        giver, taker = self._sequence(source), self._sequence(target)
        if not self.facts.capabilities.fork:
            raise Unsupported(f"{self.facts.name} cannot share a computed prefix.", "Its state is recurrent.")
        if taker.computed or count > giver.computed or giver.tokens[:count] != taker.tokens[:count]:
            raise InternalError(f"Slot {target} cannot share {count} tokens of slot {source}.")
        self._api.llama_memory_seq_cp(self._memory, source, target, 0, count)
        taker.computed = count

    def remove(self, slot: int) -> None:
        sequence = self._sequence(slot)
        self._api.llama_memory_seq_rm(self._memory, slot, -1, -1)
        sequence.chain.close()
        self._slots[slot] = None

    def _sequence(self, slot: int) -> _Sequence:
        sequence = self._slots[slot]
        if sequence is None:
            raise InternalError(f"Slot {slot} holds no sequence.")
        return sequence

    # --- the step ---

    def step(self, rows: Sequence[Row]) -> StepResult:
        """One `llama_decode` over `rows`, then a draw for each sequence that it computed to its end.

        An `interrupt` that came between two steps ends the next one at once: it may have been meant for it.
        Raises InternalError where the library fails.
        """
        if self._flag.take():
            return _INTERRUPTED
        batch = self._batch
        batch.clear()
        moving: list[tuple[_Sequence, int]] = []
        ended: list[tuple[_Sequence, int]] = []
        for row in rows:
            sequence = self._sequence(row.slot)
            start, end = sequence.computed, sequence.computed + row.count
            known = len(sequence.tokens)
            if not start < end <= known or batch.size + row.count > batch.capacity:
                raise InternalError(f"A step of {row.count} tokens does not fit slot {row.slot}.")
            is_end = end == known
            last = batch.add(row.slot, sequence.tokens[start:end], start, wanted=is_end)
            moving.append((sequence, end))
            if is_end:
                ended.append((sequence, last))
        code = self._api.llama_decode(self._context, batch.native)
        if code != 0:
            return self._undone(code, moving)
        for sequence, end in moving:
            sequence.computed = end
        result = StepResult(Outcome.OK, self._draw(ended))
        self._flag.take()
        return result

    def _undone(self, code: int, moving: list[tuple[_Sequence, int]]) -> StepResult:
        """Put every sequence back to before the step; llama.cpp itself does so only for code 1."""
        if code == 1:
            return _NO_SLOT
        for sequence, _ in moving:
            self._api.llama_memory_seq_rm(self._memory, sequence.slot, sequence.computed, -1)
        if code == 2:
            self._flag.take()
            return _INTERRUPTED
        raise InternalError("llama.cpp could not compute a step.", f"{last_reason()} (code {code})")

    def _draw(self, ended: list[tuple[_Sequence, int]]) -> tuple[Sampled, ...]:
        drawn = []
        for (sequence, index), row in zip(ended, self._logits.rows() if ended else (), strict=False):
            token = sequence.chain.sample(self._context, index, row)
            logprob = None
            if sequence.top_logprobs is not None:
                logprob = logprob_of(row, token, sequence.top_logprobs, self._vocabulary.piece)
            sequence.tokens.append(token)
            drawn.append(Sampled(sequence.slot, token, logprob))
        return tuple(drawn)

    def interrupt(self) -> None:
        if self.facts.capabilities.cancel_in_prefill:
            self._flag.raise_()

    # --- the whole model ---

    def set_adapters(self, adapters: tuple[AdapterRef, ...]) -> None:
        self._adapters.use(adapters)

    def memory(self) -> MemoryUse:
        import psutil

        return MemoryUse(
            weights=self._allocated["model"],
            kv_cache=self._allocated["KV"] + self._allocated["RS"],
            compute=self._allocated["compute"] + self._allocated["output"],
            resident=psutil.Process().memory_info().rss,
        )

    def close(self) -> None:
        if self._model is None:
            return
        for sequence in self._slots:
            if sequence is not None:
                sequence.chain.close()
        self._slots = []
        weights.free(self._model, self._context)
        self._model = None


def _allocated(lines: list[str]) -> dict[str, int]:
    """Bytes by kind of buffer, summed over devices, from what the allocator logged while loading."""
    found = dict.fromkeys(("model", "KV", "RS", "compute", "output"), 0)
    for line in lines:
        if match := _BUFFER.search(line):
            found[match[1]] += round(float(match[2]) * 2**20)
    return found
