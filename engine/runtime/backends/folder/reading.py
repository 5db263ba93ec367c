"""A model folder for questions about text: tokenizer, template and configuration, without weights or torch."""

from __future__ import annotations

import resource
import sys

from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.folder.facts import facts_of, folder_of, sees, shape_of
from engine.runtime.backends.folder.vocabulary import Vocabulary
from engine.runtime.backends.text import Text
from engine.types import MemoryUse


class FolderText(Text):
    """The part of `StepBackend` that is about text; its facts are those that a model loaded by `backend` would have.

    Raises ModelLoadFailed.
    """

    def __init__(self, backend: str, spec: LoadSpec) -> None:
        folder = folder_of(spec)
        vocabulary = Vocabulary(folder.path, folder.number("vocab_size") or None)
        super().__init__(vocabulary)
        self.media = None
        self.facts = facts_of(folder, vocabulary, shape_of(spec, folder), backend, sees=sees(folder, backend))

    def memory(self) -> MemoryUse:
        unit = 1 if sys.platform == "darwin" else 1024
        return MemoryUse(resident=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)

    def close(self) -> None:
        """Nothing is held open."""
