"""What the settings say of a load where nobody else does. Pure."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from engine.library.load_options import objection
from engine.settings import Runtime
from engine.types import LoadOptions

GUESSES: Final = 8
"""Most guesses in one step where a draft model is named and nobody says how many."""
EVERY: Final = ""
"""In place of the name of a backend: all of them, whatever each can honour."""


def completed(said: LoadOptions, runtime: Runtime, backend: str) -> LoadOptions:
    """`said` over those of the settings that mean something under `backend`; what neither says is left to it."""
    defaults = {
        "context": runtime.context,
        "slots": runtime.slots,
        "device": runtime.device,
        "split": runtime.split,
        "gpu_layers": runtime.gpu_layers,
        "threads": runtime.threads,
        "batch_threads": runtime.batch_threads,
        "kv_type": runtime.kv_type,
        "flash_attention": runtime.flash_attention,
        "use_mmap": runtime.use_mmap,
        "draft_tokens": runtime.draft_tokens,
    }
    if said.device is not None:
        # It is for the devices that the settings name.
        del defaults["split"]
    if said.draft_model is not None:
        defaults["draft_tokens"] = runtime.draft_tokens or GUESSES
    return replace(
        said,
        **{
            name: value
            for name, value in defaults.items()
            if getattr(said, name) is None and objection(backend, name, value) is None
        },
    )
