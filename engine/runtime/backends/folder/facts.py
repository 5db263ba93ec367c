"""What a model folder says of itself as `ModelFacts`, and the shape of its context."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.library.load_options import honoured
from engine.library.model_folder import ModelFolder, read_folder
from engine.library.recommended import recommended_in
from engine.library.shape import ContextShape, context_shape
from engine.runtime.backends.base import CONSTRAINTS, LoadSpec
from engine.runtime.backends.folder.vocabulary import Vocabulary
from engine.runtime.backends.sampling.chain import HONOURED
from engine.types import Capabilities, ModelFacts

SAMPLING: Final = HONOURED - {name for name in HONOURED if name.startswith("dry_")}
"""DRY reads its breakers with a vocabulary of llama.cpp's."""


def shape_of(spec: LoadSpec, folder: ModelFolder) -> ContextShape:
    """The layout that `spec` asks for, within what the model can do."""
    return context_shape(spec.options, folder.context)


def facts_of(
    folder: ModelFolder, vocabulary: Vocabulary, shape: ContextShape, backend: str, *, sees: bool
) -> ModelFacts:
    """The facts of the folder under a backend. Whether it `sees` is known for sure once it is loaded."""
    return ModelFacts(
        name=folder.path.name,
        architecture=folder.architecture,
        parameters=folder.parameters,
        quantisation=folder.quantisation,
        weight_bytes=folder.weight_bytes,
        context_trained=folder.context,
        context=shape.context,
        vocabulary=vocabulary.size,
        layers=folder.number("num_hidden_layers"),
        width=folder.number("hidden_size"),
        heads=folder.number("num_attention_heads"),
        kv_heads=folder.number("num_key_value_heads", folder.number("num_attention_heads")),
        bos=vocabulary.bos,
        eos=vocabulary.end_tokens,
        chat_template=template_of(folder, vocabulary),
        sampling=recommended_in(folder.path),
        capabilities=Capabilities(
            backend=backend,
            sampling=SAMPLING,
            constraints=CONSTRAINTS,
            logprobs=True,
            prompt_logprobs=True,
            adapters=True,
            fork=True,
            trim=True,
            save=True,
            # MLX computes a whole graph at once.
            cancel_in_prefill=backend == "transformers",
            embeddings=True,
            modalities=frozenset({"text", "image"} if sees else {"text"}),
            load_options=honoured(backend),
            max_slots=shape.slots,
        ),
    )


def sees(folder: ModelFolder, backend: str) -> bool:
    """Whether the folder's model reads pictures under a backend, by what its configuration says."""
    return backend == "transformers" and folder.sees


def template_of(folder: ModelFolder, vocabulary: Vocabulary) -> str | None:
    """The chat template that the folder brings: a file of its own, or a part of the tokenizer's configuration."""
    file = folder.path / "chat_template.jinja"
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return vocabulary.template


def folder_of(spec: LoadSpec) -> ModelFolder:
    """The folder of `spec`, read and found safe. Raises ModelLoadFailed."""
    return read_folder(Path(spec.path), spec.libraries.trust_remote_code)
