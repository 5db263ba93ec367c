"""LoRA adapters of a loaded model: read once, kept with the weights, laid over the context as asked."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import InternalError, InvalidRequest, ModelNotFound
from engine.runtime.backends.llama.library import LogCapture, last_reason, native
from engine.types import AdapterRef

_Stamp = tuple[str, int, int, int]
"""Real path, time of the last change as its writer says it and as the system knows it, size."""


class Adapters:
    """The adapters of one model. Their memory belongs to the model and goes with it."""

    def __init__(self, model: int) -> None:
        self._api = native()
        self._model = model
        self._context: int | None = None
        # A file that was written anew under its old name is another adapter.
        self._loaded: dict[_Stamp, Any] = {}
        self._fingerprints: dict[_Stamp, str] = {}

    def move(self, context: int) -> None:
        """From now on it is about another context of the same model, in which none is set."""
        self._context = context

    def use(self, adapters: Sequence[AdapterRef], context: int | None = None) -> None:
        """Make exactly `adapters` (GGUF paths) hold; none at all restores the base model bit for bit.

        They hold for `context`, another one over the same weights, if one is given. Raises ModelNotFound or
        InvalidRequest, and then leaves in place what held before.
        """
        handles = [self._handle(adapter.name) for adapter in adapters]
        count = len(handles)
        native_handles = (self._api.llama_adapter_lora_p_ctypes * count)(*handles) if count else None
        scales = (ctypes.c_float * count)(*(adapter.scale for adapter in adapters)) if count else None
        laid_over = self._context if context is None else context
        if self._api.llama_set_adapters_lora(laid_over, native_handles, count, scales) != 0:
            raise InternalError("The adapters could not be set.", last_reason())

    def identity(self, adapters: Sequence[AdapterRef]) -> str:
        """Tells this set, with its scales and the content of its files, from every other; empty for none.

        Raises ModelNotFound or ModelLoadFailed.
        """
        parts = []
        for adapter in sorted(adapters, key=lambda each: each.name):
            stamp = _stamp(adapter.name)
            if stamp not in self._fingerprints:
                from engine.library.fingerprint import fingerprint

                self._fingerprints[stamp] = fingerprint(Path(adapter.name))
            parts.append(f"{self._fingerprints[stamp]}*{adapter.scale!r}")
        return " ".join(parts)

    def _handle(self, path: str) -> Any:
        key = _stamp(path)
        if key not in self._loaded:
            with LogCapture() as log:
                handle = self._api.llama_adapter_lora_init(
                    self._model, path.encode("utf-8", "surrogateescape")
                )
            if not handle:
                raise InvalidRequest(
                    f"The adapter {path} does not fit this model.",
                    log.reason(),
                    "Use a GGUF adapter made for exactly this base model.",
                    param="adapters",
                )
            self._loaded[key] = handle
        return self._loaded[key]


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)
    except OSError as error:
        raise ModelNotFound(
            f"There is no adapter at {path}.", f"{error.strerror}.", param="adapters"
        ) from error
    return os.path.realpath(path), status.st_mtime_ns, status.st_ctime_ns, status.st_size
