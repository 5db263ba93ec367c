"""DRY samplers, made once for each set of breakers and copied for each sequence.

llama.cpp looks through the whole vocabulary for each breaker: at 152 thousand tokens a hundredth of a second each, in
which nobody else's tokens are computed. A copy takes microseconds.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from engine.errors import InternalError
from engine.runtime.backends.llama.library import native
from engine.types import Sampling

KEPT: Final = 8
"""Samplers that are kept to be copied."""
_Values = tuple[float, float, int, int, tuple[str, ...]]


class DrySamplers:
    """Those over the vocabulary `handle` (native), which they read when they are made. Used from one thread."""

    def __init__(self, handle: int) -> None:
        self._api, self._handle = native(), handle
        self._kept: dict[_Values, Any] = {}
        """The one used last at the end."""

    def copy(self, sampling: Sampling, window: int) -> Any:
        """A sampler (native) that has seen nothing yet and looks at the last `window` tokens; the caller frees it."""
        values = (
            sampling.dry_multiplier,
            sampling.dry_base,
            sampling.dry_allowed_length,
            window,
            tuple(text for text in sampling.dry_sequence_breakers if text),
        )
        known = self._kept.pop(values, None) or self._made(values)
        self._kept[values] = known
        if len(self._kept) > KEPT:
            self._api.llama_sampler_free(self._kept.pop(next(iter(self._kept))))
        return self._api.llama_sampler_clone(known)

    def _made(self, values: _Values) -> Any:
        multiplier, base, length, window, texts = values
        breakers = [text.encode("utf-8", "replace") for text in texts]
        handle = self._api.llama_sampler_init_dry(
            self._handle,
            multiplier,
            base,
            length,
            window,
            (ctypes.c_char_p * len(breakers))(*breakers),
            len(breakers),
        )
        if not handle:
            raise InternalError("llama.cpp could not make a sampler.", "It returned no handle.")
        return handle
