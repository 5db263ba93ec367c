"""Arrays of candidate tokens, as the native samplers take them (`llama_token_data_array` of llama.h)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.logits import Floats

CANDIDATE: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""`llama_token_data` of llama.h."""

Candidates = NDArray[Any]
"""An array of CANDIDATE."""


class Workbench:
    """Room for the candidates of a whole vocabulary of `size` tokens, used again for each draw of any sequence."""

    def __init__(self, size: int) -> None:
        self._fresh = np.zeros(size, CANDIDATE)
        self._fresh["id"] = np.arange(size)
        self._room = np.empty(size, CANDIDATE)

    def whole(self, row: Floats) -> Candidates:
        """All tokens with their logits of `row`, by id; valid until the next call."""
        self._room[:] = self._fresh
        self._room["logit"] = row
        return self._room


def shaped(samplers: Iterable[int], candidates: Candidates, *, is_sorted: bool) -> Candidates:
    """The candidates that native `samplers`, none of which draws, leave of `candidates`; these are spent.

    Valid as long as `candidates`, and until a sampler is used again, which may have lent its own memory.
    """
    api = native()
    array = _array(candidates, is_sorted)
    for sampler in samplers:
        api.llama_sampler_apply(sampler, ctypes.byref(array))
    address = ctypes.cast(array.data, ctypes.c_void_p).value
    buffer: Any = (ctypes.c_char * (array.size * CANDIDATE.itemsize)).from_address(address)
    return np.frombuffer(buffer, CANDIDATE)


def drawn(sampler: int, candidates: Candidates, *, is_sorted: bool = False) -> int:
    """The token that a native `sampler` draws from `candidates`, of which there is one at least."""
    array = _array(candidates, is_sorted)
    native().llama_sampler_apply(sampler, ctypes.byref(array))
    return int(array.data[array.selected].id)


def _array(candidates: Candidates, is_sorted: bool) -> Any:
    api = native()
    return api.llama_token_data_array(
        data=ctypes.cast(candidates.ctypes.data, api.llama_token_data_p),
        size=len(candidates),
        selected=-1,
        sorted=is_sorted,
    )
