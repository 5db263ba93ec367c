"""A whole engine for a benchmark, in a home of its own, and what is asked of it again and again."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.weights import QUARTER_BILLION, cached_llama
from engine.errors import HearthError
from engine.local import LocalEngine
from engine.paths import resolve
from engine.settings import Runtime, Settings
from engine.types import Admitted, Done, Failed, GenerationRequest, StreamEvent


def quarter_billion(folder: Path | None) -> Path:
    """The model of `benchmarks.weights.QUARTER_BILLION`, written once into `folder` (None: the cache)."""
    return cached_llama(folder or resolve().cache / "benchmarks", QUARTER_BILLION, "quarter-billion-q8_0")


@asynccontextmanager
async def engine_in(home: str | None = None, **runtime: Any) -> AsyncIterator[LocalEngine]:
    """An engine as it runs beside a screen; in a fresh home unless one is named."""
    with tempfile.TemporaryDirectory() as fresh:
        paths = resolve({"HEARTH_HOME": home or fresh})
        engine = LocalEngine(Settings(runtime=Runtime(**runtime)), paths=paths)
        try:
            yield engine
        finally:
            await engine.close()


class Asked:
    """The events of one request, read to their end. Raises HearthError if it failed."""

    def __init__(self, events: list[StreamEvent]) -> None:
        last = events[-1]
        if isinstance(last, Failed):
            raise HearthError(last.error.what, last.error.why, last.error.fix)
        assert isinstance(last, Done)
        self.usage, self.timings = last.usage, last.timings
        self.admitted = next(event for event in events if isinstance(event, Admitted))

    @property
    def reading_s(self) -> float:
        """Seconds from admission to the first token: what is read of the prompt, and one draw."""
        return (self.timings.first_token - self.timings.admitted) / 1e9


async def ask(engine: LocalEngine, request: GenerationRequest) -> Asked:
    """Ask and wait."""
    return Asked([event async for event in engine.generate(request)])
