"""`LlamaBackend`: the step seam over one llama.cpp context, and `open_model`, which makes it.

One KV buffer is shared by all slots and shelves (`sequences`). Used from one thread, except `interrupt`.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from engine.errors import InternalError, ModelLoadFailed, Unsupported
from engine.library.devices import on_cpu, titled
from engine.library.load_options import check
from engine.runtime.backends.base import (
    LoadSpec,
    Outcome,
    Progress,
    Row,
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
from engine.runtime.backends.llama.picture_batch import decode as decode_picture
from engine.runtime.backends.llama.projector import Projector
from engine.runtime.backends.llama.sequences import Sequences, layout_of
from engine.runtime.backends.llama.text_reader import TextReader
from engine.runtime.backends.llama.vocabulary import Vocabulary
from engine.runtime.backends.media import Span
from engine.runtime.backends.out_of_memory import out_of_memory
from engine.runtime.backends.sampling.chain import Chain
from engine.runtime.backends.slots import Moving, Slots, SlotSequence
from engine.runtime.backends.text import Text
from engine.types import AdapterRef, MemoryUse, ModelFacts

_INTERRUPTED: Final = StepResult(Outcome.INTERRUPTED)
_NO_SLOT: Final = StepResult(Outcome.NO_SLOT)
_NO_MEMORY: Final = -2
"""llama_decode: a buffer of the graph, or of outputs, could not be had; what came before it was computed."""


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
    check("llama", spec.options)
    with LogCapture() as log:
        model = weights.load_weights(spec, progress)
        try:
            if not progress("context", None):
                raise InterruptedError(f"Loading {spec.model} was stopped.")
            return LlamaBackend(spec, model, log.lines)
        except BaseException:
            weights.free(model, None)
            raise


class LlamaBackend(Text):
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
        super().__init__(self._vocabulary)
        self._adapters = Adapters(model)
        self._projector = self._open_projector()
        self._slots = Slots(shape.slots, shape.context, self._vocabulary)
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
            sees=self._projector is not None and self._projector.sees,
        )
        self.facts = replace(self.facts, device=self._devices())
        name = self.facts.name
        self.texts = TextReader(
            Texts(model, self._vocabulary, name=name, limit=shape.context),
            Embedder(model, context, name, shape, spec.options, self._adapters, self._flag),
        )

    def _open_projector(self) -> Projector | None:
        path, shape = self._spec.projector, self._shape
        if path is None:
            return None
        assert self._model is not None
        try:
            return Projector(
                self._model,
                path,
                threads=shape.batch_threads,
                micro_batch=shape.micro_batch,
                on_gpu=not on_cpu(self._spec.options),
                in_one=self._layout.stateful,
            )
        except ModelLoadFailed as error:
            # It lies beside the model, and nobody has asked for it by name: the model reads text all the same.
            print(f"{self._spec.model} is used without its eyes: {error}", file=sys.stderr, flush=True)
            return None

    @property
    def media(self) -> Projector | None:
        return self._projector if self._projector is not None and self._projector.sees else None

    def _devices(self) -> str:
        """The GPUs that hold weights, else the CPU."""
        found = devices()
        held = {each.device for each in allocated(self._weights_log, found) if each.weights}
        gpus = [each for each in found if each.name in held and each.kind in ("gpu", "igpu")]
        cpus = [each for each in found if each.kind == "cpu"]
        return ", ".join(map(titled, gpus or cpus))

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
        self._slots.insert(spec)
        self._sequences.describe(spec.slot, spec.spans)

    def amend(self, slot: int, count: int, tokens: Sequence[int]) -> None:
        sequence = self._slots.amend(slot, count, tokens)
        if sequence.computed > count:
            sequence.computed = count
            self._sequences.cut(slot, count)

    def suspend(self, slot: int) -> Chain:
        chain = self._slots.leave(slot)
        self._sequences.cut(slot, 0)
        return chain

    def remove(self, slot: int) -> None:
        self.suspend(slot).close()

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
            given, taken = self._slots.of(source).tokens, self._slots.of(target).tokens
            if given[start:stop] != taken[start:stop]:
                raise InternalError(f"Slots {source} and {target} do not begin alike.")
        self._sequences.share(source, target, start, stop)
        if target < slots:
            self._slots.of(target).computed = stop

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
        self._slots.clear()
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
        assert self._context is not None
        batch = self._batch
        batch.clear()
        moving: list[Moving] = []
        outputs = 0
        for row in rows:
            sequence = self._slots.of(row.slot)
            start, end = sequence.computed, sequence.computed + row.count
            known = len(sequence.tokens)
            span = sequence.span_at(start)
            if span is not None and start < end <= span.end:
                moving.append(Moving(sequence, row, end, 0, span=span))
                continue
            if not start < end <= known or batch.size + row.size > batch.capacity:
                raise InternalError(f"A step of {row.size} tokens does not fit slot {row.slot}.")
            wanted = row.outputs() if row.scored or end == known else 0
            tokens = sequence.tokens[start:end]
            if row.draft:
                tokens += row.draft
            first = batch.add(row.slot, tokens, self._sequences.position(row.slot, start), outputs=wanted)
            moving.append(Moving(sequence, row, end, outputs, (self._context, first)))
            outputs += wanted
        pictures = False
        for each in moving:
            if each.span is not None:
                code = self._see(each, each.span)
                if code != 0:
                    return self._undone(code, moving, cut=True)
                pictures = True
        code = self._api.llama_decode(self._context, batch.native) if batch.size else 0
        if code != 0:
            return self._undone(code, moving, cut=pictures)
        for each in moving:
            each.sequence.computed = each.end
            self._sequences.advanced(each.sequence.slot, each.end)
        result = StepResult(Outcome.OK)
        if outputs:
            result = self._slots.results(moving, self._logits.rows(), self._cut_back)
        self._flag.take()
        return result

    def _cut_back(self, sequence: SlotSequence, count: int) -> None:
        """Forget the guesses that were wrong."""
        self._sequences.advanced(sequence.slot, count)
        self._sequences.cut(sequence.slot, sequence.computed)

    def _see(self, moved: Moving, span: Span) -> int:
        """Compute a picture, or a part of one."""
        slot, start = moved.sequence.slot, moved.sequence.computed
        assert self._context is not None
        return decode_picture(
            self._context,
            span,
            start - span.start,
            moved.end - span.start,
            self._sequences.position(slot, span.start),
            self._layout.ids_of(slot),
            self._shape.batch,
        )

    def _undone(self, code: int, moving: list[Moving], *, cut: bool) -> StepResult:
        """Put every sequence back to before the step; llama.cpp itself does so only for code 1.

        `cut`: something of it was computed all the same.
        """
        if code == 1 and not cut:
            return _NO_SLOT
        if code == _NO_MEMORY:
            for each in moving:
                self._sequences.cut(each.sequence.slot, each.sequence.computed)
            raise out_of_memory(
                self.facts.name,
                last_reason(),
                "Load it with a shorter context or fewer slots, or hold fewer layers on the GPU (`gpu_layers`).",
            )
        if code < -1:
            raise StateLost("llama.cpp broke off in a step.", f"{last_reason()} (code {code})")
        for each in moving:
            self._sequences.cut(each.sequence.slot, each.sequence.computed)
        if code == 1:
            return _NO_SLOT
        if code == 2:
            self._flag.take()
            return _INTERRUPTED
        raise InternalError("llama.cpp could not compute a step.", f"{last_reason()} (code {code})")

    def interrupt(self) -> None:
        if self.facts.capabilities.cancel_in_prefill:
            self._flag.raise_()

    # --- the whole model ---

    def set_adapters(self, adapters: tuple[AdapterRef, ...]) -> None:
        self._adapters.use(adapters)

    def memory(self) -> MemoryUse:
        import psutil

        held = allocated([*self._weights_log, *self._context_log, *self.texts.log], devices())
        eyes = self._projector.size if self._projector is not None else 0
        return MemoryUse(
            weights=sum(each.weights for each in held) + eyes,
            kv_cache=sum(each.kv_cache for each in held),
            compute=sum(each.compute for each in held),
            devices=held,
            resident=psutil.Process().memory_info().rss,
        )

    def close(self) -> None:
        if self._model is None:
            return
        self.shrink()
        if self._projector is not None:
            self._projector.close()
        weights.free(self._model, None)
        self._model = None
