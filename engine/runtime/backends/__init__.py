"""The libraries that can run a model, by name; each is imported only in a worker that was told to use it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from engine.errors import Unsupported
from engine.runtime.backends.base import LoadSpec, Opener, StepBackend

LogSink = Callable[[str, str], None]
"""Takes (level, text) from any thread."""

NAMES = ("llama", "transformers", "mlx", "scripted")
OF_FORMAT = {
    "gguf": ("llama",),
    "safetensors": ("transformers", "mlx"),
    "mlx": ("mlx",),
    "scripted": ("scripted",),
}
"""Which backends can run a model of a format, best first."""


def opener(name: str, log: LogSink) -> Opener:
    """The loader of the backend `name`, its native log going to `log`. Raises Unsupported if unknown."""
    if name == "scripted":
        from engine.runtime.backends import scripted

        return scripted.open_model
    if name == "llama":
        from engine.runtime.backends.llama import backend, library

        library.set_log_sink(log)
        return backend.open_model
    if name == "transformers":
        from engine.runtime.backends.hf import library as hf

        return hf.open_model
    if name == "mlx":
        from engine.runtime.backends.mlx.library import open_model

        return open_model
    raise _unknown(name)


def reading_opener(name: str, log: LogSink) -> Callable[[LoadSpec], StepBackend]:
    """An opener of the backend `name` that loads no weights: what it opens has the part of the seam that is about text.

    Raises Unsupported if unknown.
    """
    if name == "llama":
        from engine.runtime.backends.llama import library, reading

        library.set_log_sink(log)
        return cast(Callable[[LoadSpec], StepBackend], reading.LlamaText)
    if name in ("transformers", "mlx"):
        from engine.runtime.backends.folder.reading import FolderText

        return cast(Callable[[LoadSpec], StepBackend], partial(FolderText, name))
    if name == "scripted":
        from engine.runtime.backends import scripted

        return scripted.open_text
    raise _unknown(name)


def _unknown(name: str) -> Unsupported:
    return Unsupported(
        f"There is no backend {name!r} on this machine.",
        fix=f"Use one of: {', '.join(NAMES)}.",
        param="backend",
    )
