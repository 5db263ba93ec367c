"""Arrays of candidate tokens, as the native samplers take them (`llama_token_data_array` of llama.h)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.runtime.backends.llama.library import native
from engine.runtime.backends.sampling.logprobs import Floats

CANDIDATE: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""`llama_token_data` of llama.h."""

Candidates = NDArray[Any]
"""An array of CANDIDATE."""


class Workbench:
    """Room for the candidates of a whole vocabulary of `size` tokens, used again for each draw of any sequence."""

    def __init__(self, size: int) -> None:
        self._room = np.zeros(size, CANDIDATE)
        self._room["id"] = np.arange(size)
        # As plain numbers, three a token: numpy copies those in one go, and records one by one.
        self._numbers = self._room.view(np.float32).reshape(size, 3)
        self._fresh = self._numbers.copy()

    def whole(self, row: Floats) -> Candidates:
        """All tokens with their logits of `row`, by id; valid until the next call."""
        np.copyto(self._numbers, self._fresh)
        self._numbers[:, 1] = row
        return self._room


def shaped(samplers: Iterable[int], candidates: Candidates, *, is_sorted: bool) -> Candidates:
    """The candidates that native `samplers`, none of which draws, leave of `candidates`; these are spent."""
    api = native()
    array = _array(candidates, is_sorted)
    for sampler in samplers:
        api.llama_sampler_apply(sampler, ctypes.byref(array))
    address = ctypes.cast(array.data, ctypes.c_void_p).value
    if address == candidates.ctypes.data:
        return candidates[: array.size]
    # A sampler may hand on an array of its own, which it fills anew the next time.
    lent: Any = (ctypes.c_char * (array.size * CANDIDATE.itemsize)).from_address(address)
    return np.frombuffer(lent, CANDIDATE).copy()


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
