"""A GGUF model for questions about text: vocabulary, template and metadata, without weights, KV cache or GPU."""

from __future__ import annotations

import resource
import sys
from contextlib import ExitStack

from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.llama.dryrun import simulated_model
from engine.runtime.backends.llama.facts import facts_of, generates
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.model import on_processor_only, shape_of
from engine.runtime.backends.llama.projector import sees
from engine.runtime.backends.llama.sequences import layout_of
from engine.runtime.backends.llama.vocabulary import Vocabulary
from engine.runtime.backends.text import Text
from engine.types import MemoryUse


class LlamaText(Text):
    """The part of `StepBackend` that is about text; its facts are those that a loaded model would have.

    Raises ModelLoadFailed.
    """

    def __init__(self, spec: LoadSpec) -> None:
        self._open = ExitStack()
        model, _ = self._open.enter_context(simulated_model(spec, on_devices=False))
        api = native()
        vocabulary = Vocabulary(model)
        super().__init__(vocabulary)
        self.media = None
        shape = shape_of(spec, api.llama_model_n_ctx_train(model))
        self.facts = facts_of(
            model,
            spec.path,
            vocabulary,
            shape,
            layout_of(model, shape.slots, whole_window=shape.whole_window),
            generates=generates(model),
            stoppable=on_processor_only(spec.options),
            sees=spec.projector is not None and sees(spec.projector),
        )

    def memory(self) -> MemoryUse:
        unit = 1 if sys.platform == "darwin" else 1024
        return MemoryUse(resident=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)

    def close(self) -> None:
        self._open.close()
