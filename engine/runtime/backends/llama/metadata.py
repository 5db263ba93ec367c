"""The metadata of a loaded model, as the library keeps it: everything as text."""

from __future__ import annotations

import ctypes

from engine.runtime.backends.llama.library import native


def metadata(model: int, key: str) -> str | None:
    """The value of a metadata key as text, None where the file has no such key."""
    api = native()
    length = api.llama_model_meta_val_str(model, key.encode(), None, 0)
    if length < 0:
        return None
    buffer = ctypes.create_string_buffer(length + 1)
    api.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace")
