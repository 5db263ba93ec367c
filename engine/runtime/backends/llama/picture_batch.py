"""The embeddings of a picture as batches of llama.cpp, beside those of words: one batch cannot hold both."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from engine.runtime.backends.llama.library import native
from engine.runtime.backends.media import Span


class PictureBatch:
    """Tokens `first` to `last` of a span, from `position` on, for the library's sequences `ids`.

    Holds the memory that `native` points into. Positions of M-RoPE lie one axis behind the other.
    """

    def __init__(self, span: Span, first: int, last: int, position: int, ids: tuple[int, ...]) -> None:
        api = native()
        count = last - first
        self._vectors = np.ascontiguousarray(span.vectors[first:last], np.float32)
        if span.positions is None:
            self._positions = np.arange(position + first, position + last, dtype=np.int32)
        else:
            self._positions = np.ascontiguousarray(span.positions[:, first:last] + np.int32(position))
        self._ids = np.array(ids, np.int32)
        self._counts = np.full(count, len(ids), np.int32)
        self._pointers = np.full(count, self._ids.ctypes.data, np.uint64)
        self._wanted = np.zeros(count, np.int8)

        def pointer(array: np.ndarray[Any, Any], kind: Any) -> Any:
            return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))

        self.native = api.llama_batch(
            n_tokens=count,
            token=None,
            embd=pointer(self._vectors, ctypes.c_float),
            pos=pointer(self._positions, api.llama_pos),
            n_seq_id=pointer(self._counts, ctypes.c_int32),
            seq_id=pointer(self._pointers, ctypes.POINTER(api.llama_seq_id)),
            logits=pointer(self._wanted, ctypes.c_int8),
        )


def decode(
    context: int, span: Span, first: int, last: int, position: int, ids: tuple[int, ...], batch: int
) -> int:
    """Compute tokens `first` to `last` of a span; llama_decode's code, 0 if all went well.

    `position` is that of the span's first token, `batch` how many tokens the library takes at once.
    """
    api = native()
    if span.two_ways:
        api.llama_set_causal_attn(context, False)
    try:
        for begin in range(first, last, batch):
            part = PictureBatch(span, begin, min(begin + batch, last), position, ids)
            code: int = api.llama_decode(context, part.native)
            if code != 0:
                return code
    finally:
        if span.two_ways:
            api.llama_set_causal_attn(context, True)
    return 0
