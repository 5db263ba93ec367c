"""Counts what the server has answered, for `GET /metrics`."""

from __future__ import annotations

from collections import Counter

from engine.types import Timings, Usage


class Meter:
    """Sums since the server began; on its loop alone."""

    def __init__(self) -> None:
        self.prompt_tokens = self.cached_tokens = self.completion_tokens = 0
        self.prefill_s = self.decode_s = 0.0
        self.draft_accepted = self.draft_rejected = 0
        self.longest = 0
        """Most tokens that one request came to."""
        self.answers: Counter[tuple[str, int]] = Counter()
        """By dialect and status."""

    def add(self, usage: Usage, timings: Timings) -> None:
        """A generation has ended."""
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.completion_tokens += usage.completion_tokens
        self.draft_accepted += usage.draft_accepted
        self.draft_rejected += usage.draft_rejected
        self.prefill_s += timings.prefill_s
        self.decode_s += timings.decode_s
        self.longest = max(self.longest, usage.total_tokens)
