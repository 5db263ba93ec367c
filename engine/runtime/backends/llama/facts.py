"""What a loaded GGUF model says of itself: its metadata as `ModelFacts`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from engine.errors import InvalidRequest
from engine.library.load_options import honoured
from engine.runtime.backends.base import CONSTRAINTS
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.metadata import metadata
from engine.runtime.backends.llama.model import Shape
from engine.runtime.backends.llama.pooling import can_embed, can_rank
from engine.runtime.backends.llama.sequences import Layout
from engine.runtime.backends.llama.vocabulary import Vocabulary
from engine.runtime.backends.sampling.chain import HONOURED, order_of
from engine.sampling import resolve
from engine.types import Capabilities, Infill, ModelFacts

# Sampling field, type, and the suffix of llama.h's constant for its metadata key.
_RECOMMENDED: Final = (
    ("temperature", float, "TEMP"),
    ("top_k", int, "TOP_K"),
    ("top_p", float, "TOP_P"),
    ("min_p", float, "MIN_P"),
    ("xtc_probability", float, "XTC_PROBABILITY"),
    ("xtc_threshold", float, "XTC_THRESHOLD"),
    ("repeat_last_n", int, "PENALTY_LAST_N"),
    ("repetition_penalty", float, "PENALTY_REPEAT"),
    ("mirostat", int, "MIROSTAT"),
    ("mirostat_tau", float, "MIROSTAT_TAU"),
    ("mirostat_eta", float, "MIROSTAT_ETA"),
)


def generates(model: int) -> bool:
    """Whether the model writes text, and keeps what it has read: neither encoders nor diffusion models do."""
    from engine.library.dimensions import ENCODERS

    api = native()
    return bool(
        metadata(model, "general.architecture") not in ENCODERS
        and api.llama_model_has_decoder(model)
        and not api.llama_model_has_encoder(model)
        and not api.llama_model_is_diffusion(model)
    )


def template_of(model: int) -> str | None:
    """The chat template that the model's file brings."""
    template = native().llama_model_chat_template(model, None)
    return template.decode("utf-8", "replace") if template else None


def facts_of(
    model: int,
    path: str,
    vocabulary: Vocabulary,
    shape: Shape,
    layout: Layout,
    *,
    generates: bool,
    stoppable: bool,
    sees: bool,
) -> ModelFacts:
    """The facts of the loaded weights.

    `generates` False: an encoder, which this backend can load and not decode with. Recurrent and hybrid
    models keep a running state that cannot be cut back, so their capabilities say so.
    """
    api = native()
    quantisation = api.llama_ftype_name(api.llama_model_ftype(model)) or b""
    infill = _infill(vocabulary)
    cuttable = not layout.stateful and not layout.windowed
    architecture = metadata(model, "general.architecture") or ""

    def number(key: str) -> int:
        text = metadata(model, f"{architecture}.{key}") or ""
        return int(text) if text.isdecimal() else 0

    return ModelFacts(
        name=metadata(model, "general.name") or Path(path).stem,
        architecture=architecture,
        parameters=api.llama_model_n_params(model),
        quantisation=quantisation.decode().removesuffix(" (guessed)"),
        weight_bytes=api.llama_model_size(model),
        context_trained=api.llama_model_n_ctx_train(model),
        context=shape.context,
        vocabulary=vocabulary.size,
        layers=number("block_count"),
        width=number("embedding_length"),
        heads=number("attention.head_count"),
        kv_heads=number("attention.head_count_kv"),
        tokenizer=metadata(model, "tokenizer.ggml.model") or "",
        bos=vocabulary.bos,
        eos=vocabulary.end_tokens,
        chat_template=template_of(model),
        infill=infill,
        sampling=_recommended(model),
        capabilities=Capabilities(
            backend="llama",
            sampling=HONOURED if generates else frozenset(),
            constraints=CONSTRAINTS if generates else frozenset(),
            logprobs=generates,
            prompt_logprobs=generates,
            adapters=generates,
            fork=generates and cuttable,
            trim=generates and cuttable,
            save=generates,
            infill=generates and infill is not None,
            # A step that is broken off has to be undone.
            cancel_in_prefill=stoppable and cuttable,
            embeddings=can_embed(model),
            rerank=can_rank(model),
            modalities=frozenset({"text", "image"} if sees else {"text"}),
            load_options=honoured("llama"),
            max_slots=shape.slots,
        ),
    )


def _infill(vocabulary: Vocabulary) -> Infill | None:
    """The tokens for fill-in-the-middle, None where the model lacks one of the three that it takes."""
    api = native()
    prefix, suffix, middle, repository, file = (
        getattr(api, f"llama_vocab_fim_{name}")(vocabulary.handle)
        for name in ("pre", "suf", "mid", "rep", "sep")
    )
    if min(prefix, suffix, middle) < 0:
        return None
    return Infill(
        prefix=prefix,
        suffix=suffix,
        middle=middle,
        file=file if file >= 0 else None,
        repository=repository if repository >= 0 else None,
    )


def _recommended(model: int) -> dict[str, Any]:
    """The file's recommended sampling; a value that does not read or is out of bounds is left out."""
    api = native()
    found: dict[str, Any] = {}
    for field, kind, suffix in _RECOMMENDED:
        key = api.llama_model_meta_key_str(getattr(api, f"LLAMA_MODEL_META_KEY_SAMPLING_{suffix}"))
        text = metadata(model, key.decode()) if key else None
        if text is None:
            continue
        try:
            value = kind(text)
            resolve({field: value})
        except (ValueError, InvalidRequest):
            continue
        found[field] = value
    key = api.llama_model_meta_key_str(api.LLAMA_MODEL_META_KEY_SAMPLING_SEQUENCE)
    sequence = metadata(model, key.decode()) if key else None
    if sequence:
        try:
            found["samplers"] = order_of(tuple(sequence.split(";")))
        except InvalidRequest:
            found.pop("samplers", None)
    return found
