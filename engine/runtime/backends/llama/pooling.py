"""What a GGUF model's file says of how the vectors of a text's tokens become one, and of a head that ranks."""

from __future__ import annotations

from typing import Final, Literal

from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.metadata import metadata
from engine.types import Pooling

# llama_pooling_type of llama.h, as the metadata key writes it.
_OWN: Final[dict[str, Pooling | Literal["rank"]]] = {"1": "mean", "2": "cls", "3": "last", "4": "rank"}


def own_pooling(model: int) -> Pooling | Literal["rank"] | None:
    """What the file of `model` (a native handle) says; `rank` is a head that scores, None is nothing said."""
    return _OWN.get(metadata(model, f"{metadata(model, 'general.architecture')}.pooling_type") or "")


def can_embed(model: int) -> bool:
    """Whether `model` gives its tokens vectors: all do but those of two halves and drafts of others."""
    api = native()
    return not (api.llama_model_has_encoder(model) and api.llama_model_has_decoder(model))


def can_rank(model: int) -> bool:
    """Whether `model` has a head that scores a document against a query."""
    return can_embed(model) and own_pooling(model) == "rank" and native().llama_model_n_cls_out(model) > 0
