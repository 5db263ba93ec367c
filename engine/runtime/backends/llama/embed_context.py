"""The native context of an `Embedder`: how large it is, what it asks of memory, and rows in and out of it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.errors import InsufficientMemory, InternalError, ModelLoadFailed
from engine.runtime.backends.embedding.jobs import Head
from engine.runtime.backends.llama.adapters import Adapters
from engine.runtime.backends.llama.batch import Batch
from engine.runtime.backends.llama.library import LogCapture, native
from engine.runtime.backends.llama.model import KV_TYPES, Shape
from engine.types import AdapterRef, LoadOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP: Final = 512
"""Most tokens of one step, but for a text that must be read in one and is longer."""
_LOGIT_BYTES: Final = 64 * 1024**2
"""llama.cpp keeps a row of logits for every token that it gives a vector, and of large vocabularies few fit."""
_FEWEST_ROWS: Final = 32
_SLOTS: Final = 32
_RECURRENT_SLOTS: Final = 4
"""A running state is as large for a word as for a book."""


def reads_whole(context: int) -> bool:
    """Whether the model of `context` must read a text in one step: it has no cache, or looks ahead."""
    api = native()
    return api.llama_get_memory(context) is None or not api.llama_get_causal_attn(context)


class EmbedContext:
    """A context over weights that are loaded already, for texts of up to `needed` tokens.

    `capacity`: tokens of all its texts together; `slots`: how many texts it holds; `rows`: how many tokens can
    be given a vector in one step; `width`: numbers of a vector. `abort` is the callback that ends a running
    batch, with its data. Raises InsufficientMemory or ModelLoadFailed.
    """

    def __init__(
        self,
        model: int,
        name: str,
        head: Head,
        needed: int,
        shape: Shape,
        options: LoadOptions,
        abort: tuple[Any, Any],
        *,
        whole: bool,
    ) -> None:
        api = self._api = native()
        recurrent = api.llama_model_is_recurrent(model) or api.llama_model_is_hybrid(model)
        vocabulary: int = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
        self.head, self.whole = head, whole
        self.slots = _RECURRENT_SLOTS if recurrent else _SLOTS
        # Powers of two: a text that is a little longer does not ask for another context.
        self.capacity = max(STEP, 1 << (needed - 1).bit_length())
        step = self.capacity if whole else STEP
        fitting = max(_FEWEST_ROWS, _LOGIT_BYTES // (4 * vocabulary))
        self.rows = step if whole else max(self.slots, min(step, fitting))
        self.width: int = (
            api.llama_model_n_cls_out(model) if head == "rank" else api.llama_model_n_embd_out(model)
        )
        params = api.llama_context_default_params()
        params.embeddings = True
        params.pooling_type = api.LLAMA_POOLING_TYPE_RANK if head == "rank" else api.LLAMA_POOLING_TYPE_NONE
        params.n_ctx = self.capacity
        params.n_batch = params.n_ubatch = step
        params.n_seq_max = self.slots
        params.n_outputs_max = self.rows
        params.kv_unified = True
        params.n_threads, params.n_threads_batch = shape.threads, shape.batch_threads
        if options.flash_attention is not None:
            params.flash_attn_type = int(options.flash_attention)
        if options.kv_type is not None:
            params.type_k = params.type_v = KV_TYPES[options.kv_type]
        params.abort_callback, params.abort_callback_data = abort
        params.no_perf = True
        self._handle = self._open(model, name, params, self.rows * (vocabulary + self.width) * 4)
        self._memory: int | None = api.llama_get_memory(self._handle)
        self.batch = Batch(step, [(slot,) for slot in range(self.slots)])
        self.adapters: tuple[AdapterRef, ...] = ()
        self._gives = True

    def _open(self, model: int, name: str, params: Any, output: int) -> int:
        """`output`: bytes that rows and logits will take."""
        import psutil

        available = psutil.virtual_memory().available
        if output > available:
            raise InsufficientMemory(
                f"There is not enough memory to embed with {name}.",
                f"A text of that length takes {output / 1e9:.1f} GB, and {available / 1e9:.1f} GB are free.",
                "Shorten the texts.",
            )
        with LogCapture() as log:
            handle: int | None = self._api.llama_init_from_model(model, params)
        self.log = log.lines
        if handle:
            return handle
        reason = log.reason()
        if "alloc" in reason:
            raise InsufficientMemory(
                f"There is not enough memory to embed with {name}.", reason, "Shorten the texts."
            )
        raise ModelLoadFailed(f"{name} cannot be opened for embeddings.", reason)

    def lay(self, adapters: tuple[AdapterRef, ...], known: Adapters) -> None:
        """Make exactly `adapters` hold, as their files are now. Raises ModelNotFound or InvalidRequest."""
        if adapters or self.adapters:
            known.use(adapters, self._handle)
            self.adapters = adapters

    def compute(self, *, gives: bool) -> int:
        """Compute the batch; the library's code, 0 for success. `gives`: every token is to have its row."""
        if gives is not self._gives:
            self._api.llama_set_embeddings(self._handle, gives)
            self._gives = gives
        function = self._api.llama_encode if self._memory is None else self._api.llama_decode
        code: int = function(self._handle, self.batch.native)
        return code

    def states(self) -> NDArray[Any]:
        """Rows of the last batch, float32 [tokens, width], in its order. A view, good until the next batch."""
        import numpy as np

        pointer = self._api.llama_get_embeddings(self._handle)
        if not pointer:
            raise InternalError("llama.cpp gave no embeddings.")
        return np.ctypeslib.as_array(pointer, shape=(self.batch.size, self.width))

    def score(self, slot: int) -> NDArray[Any]:
        """What the head gave for the text in `slot`, float32 [1, classes]."""
        import numpy as np

        pointer = self._api.llama_get_embeddings_seq(self._handle, slot)
        if not pointer:
            raise InternalError("llama.cpp gave no score.")
        return np.ctypeslib.as_array(pointer, shape=(1, self.width)).copy()

    def forget(self, slots: Sequence[int]) -> None:
        """Drop what was computed of the texts in `slots`."""
        if self._memory is not None:
            for slot in slots:
                self._api.llama_memory_seq_rm(self._memory, slot, -1, -1)

    def free(self) -> None:
        self._api.llama_free(ctypes.c_void_p(self._handle))
