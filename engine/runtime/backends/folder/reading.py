"""A model folder for questions about text: tokenizer, template and configuration, without weights or torch."""

from __future__ import annotations

import resource
import sys

from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.folder.facts import facts_of, folder_of, shape_of
from engine.runtime.backends.folder.vocabulary import Vocabulary
from engine.runtime.backends.guide import TokenTable
from engine.types import MemoryUse


class FolderText:
    """The part of `StepBackend` that is about text; its facts are those that a model loaded by `backend` would have.

    Raises ModelLoadFailed.
    """

    def __init__(self, backend: str, spec: LoadSpec) -> None:
        folder = folder_of(spec)
        self._vocabulary = Vocabulary(folder.path, folder.number("vocab_size") or None)
        self.facts = facts_of(folder, self._vocabulary, shape_of(spec, folder), backend)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._vocabulary.tokenize(text, add_special=add_special, parse_special=parse_special)

    def piece(self, token: int) -> bytes:
        return self._vocabulary.piece(token)

    def special_text(self, token: int) -> str:
        return self._vocabulary.special_text(token)

    def token_of(self, text: str) -> int | None:
        return self._vocabulary.token_of(text)

    def token_table(self) -> TokenTable:
        return self._vocabulary.token_table()

    def memory(self) -> MemoryUse:
        unit = 1 if sys.platform == "darwin" else 1024
        return MemoryUse(resident=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)

    def close(self) -> None:
        """Nothing is held open."""
