"""What was sent before, for ↑ and ↓ in the prompt. Pure; lives for one run."""

from __future__ import annotations

LONGEST = 500
"""Entries kept."""


class PromptHistory:
    """Entries, and a place among them while the reader walks. The draft stands behind the newest entry."""

    def __init__(self) -> None:
        self._entries: list[str] = []
        self._place = 0
        self._draft = ""

    def add(self, text: str) -> None:
        """Remember what was sent; a repetition of the newest is not kept twice."""
        if text and (not self._entries or self._entries[-1] != text):
            self._entries.append(text)
            del self._entries[:-LONGEST]
        self._place = len(self._entries)
        self._draft = ""

    def older(self, current: str) -> str | None:
        """The entry before; None at the oldest. `current` is kept as the draft when the walk begins."""
        if self._place == 0:
            return None
        if self._place == len(self._entries):
            self._draft = current
        self._place -= 1
        return self._entries[self._place]

    def newer(self) -> str | None:
        """The entry after, the draft in the end; None when there already."""
        if self._place >= len(self._entries):
            return None
        self._place += 1
        return self._draft if self._place == len(self._entries) else self._entries[self._place]
