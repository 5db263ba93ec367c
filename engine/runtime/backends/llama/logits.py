"""The raw logits of a step as a numpy matrix."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from engine.runtime.backends.llama.library import native
from engine.runtime.backends.sampling.logprobs import Floats


class Logits:
    """Views the output rows of a context: row i belongs to the i-th token of the batch that wanted logits."""

    def __init__(self, context: int, slots: int, vocabulary: int) -> None:
        self._context = context
        self._shape = (slots, vocabulary)
        # The declared result type builds a pointer object for each call; an address is all that is needed.
        self._address_of: Any = native()._lib["llama_get_logits"]
        self._address_of.argtypes, self._address_of.restype = [ctypes.c_void_p], ctypes.c_void_p
        self._address = 0
        self._rows: Floats = np.empty((0, vocabulary), np.float32)

    def rows(self) -> Floats:
        """The rows of the last step, float32 [slots, vocabulary]; valid until the next step."""
        address = self._address_of(self._context)
        if address != self._address:
            cells = self._shape[0] * self._shape[1]
            buffer: Any = (ctypes.c_float * cells).from_address(address)
            self._rows = np.frombuffer(buffer, np.float32).reshape(self._shape)
            self._address = address
        return self._rows
