"""How far a request is, as llama-server tells clients that ask: `prompt_progress` while its prompt is read, `timings`
with each piece of its answer."""

from __future__ import annotations

from typing import Any

from api.dialects.openai.usage import timings_of
from api.reading.fields import Fields
from engine.types import Admitted, Delta, Prefill, StreamEvent, Timings, Usage


class Pace:
    """What the two fields of a request ask for; `hear` every event before it is written."""

    def __init__(self, fields: Fields) -> None:
        self.shows_progress = fields.take("return_progress", bool) or False
        self.shows_timings = fields.take("timings_per_token", bool) or False
        self._prompt = self._cached = self._tokens = 0
        self._began = self._first = self._now = 0

    def hear(self, event: StreamEvent) -> None:
        self._now = event.t_ns
        match event:
            case Admitted():
                self._prompt, self._cached = event.prompt_tokens, event.cached_tokens
                self._began = event.t_ns
            case Delta():
                self._first = self._first or event.t_ns
                self._tokens += event.tokens
            case _:
                pass

    def progress(self, event: Prefill) -> dict[str, Any]:
        """Tokens, those of the cache among the processed ones, and milliseconds since the request was let in."""
        return {
            "total": event.total,
            "cache": self._cached,
            "processed": event.done,
            "time_ms": (event.t_ns - self._began) // 1_000_000,
        }

    def timings(self) -> dict[str, Any]:
        """Those of the answer so far."""
        usage = Usage(prompt_tokens=self._prompt, cached_tokens=self._cached, completion_tokens=self._tokens)
        timings = Timings(first_prefill=self._began, first_token=self._first, last_token=self._now)
        return timings_of(usage, timings)
