"""Bounds of one worker: how much a step reads, how many requests may wait."""

from __future__ import annotations

from msgspec import Struct

from engine.types import Class


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of one worker; chunks in tokens, queue lengths in requests (None: no bound)."""

    chunk: int = 512
    """Largest prefill chunk when nobody decodes who would stutter."""
    busy_chunk: int = 128
    """Prefill tokens of a step in which streams decode: more would make them stutter."""
    answer_reserve: int = 512
    """Tokens of the window that a prompt leaves free for the answer."""
    queue_interactive: int | None = 8
    queue_api: int | None = 128
    queue_batch: int | None = None
    draft: int = 0
    """Most tokens that are guessed ahead in one step; 0 is none."""

    def queue(self, priority: Class) -> int | None:
        bounds = {"interactive": self.queue_interactive, "api": self.queue_api, "batch": self.queue_batch}
        return bounds[priority]
