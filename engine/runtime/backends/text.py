"""The part of the seam that is about text, of every backend that has a vocabulary."""

from __future__ import annotations

from typing import Protocol

from engine.runtime.backends.guide import TokenTable


class Vocabulary(Protocol):
    """What is asked of a vocabulary here; see `engine.runtime.backends.base.StepBackend`."""

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...

    def piece(self, token: int) -> bytes: ...

    def special_text(self, token: int) -> str: ...

    def token_of(self, text: str) -> int | None: ...

    def token_table(self) -> TokenTable: ...


class Text:
    """Reads and writes with a vocabulary; see `engine.runtime.backends.base.StepBackend`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._words = vocabulary

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._words.tokenize(text, add_special=add_special, parse_special=parse_special)

    def piece(self, token: int) -> bytes:
        return self._words.piece(token)

    def special_text(self, token: int) -> str:
        return self._words.special_text(token)

    def token_of(self, text: str) -> int | None:
        return self._words.token_of(text)

    def token_table(self) -> TokenTable:
        return self._words.token_table()
