"""One request, timed by the monotonic clock: the engine's own moments, or this side's for other servers."""

from __future__ import annotations

import itertools
import time

from msgspec import Struct

from engine.types import Delta, Done, Failed, GenerationRequest, Timings, Usage
from evals.asking.model import AskedModel


class Timed(Struct, frozen=True, kw_only=True):
    """What one request came to. `gaps` are seconds between the moments at which tokens came."""

    timings: Timings
    usage: Usage
    gaps: tuple[float, ...] = ()
    steps: int = 0
    """Moments at which tokens came: fewer than tokens where several came at once."""
    error: str = ""

    @property
    def ttft_s(self) -> float | None:
        """Time to first token; None where none came."""
        return self.timings.ttft_s if self.timings.first_token else None

    @property
    def tpot_s(self) -> float | None:
        """Time per output token after the first; None below two tokens."""
        if self.usage.completion_tokens < 2 or not self.timings.first_token:
            return None
        return (self.timings.last_token - self.timings.first_token) / 1e9 / (self.usage.completion_tokens - 1)

    @property
    def total_s(self) -> float:
        """From submit to the end."""
        return self.timings.total_s


async def timed(model: AskedModel, request: GenerationRequest) -> Timed:
    """Ask once. A request that fails is timed too, with its error."""
    moments: list[int] = []
    submitted = time.monotonic_ns()
    done: Done | Failed | None = None
    async for event in model.stream(request):
        if isinstance(event, Delta) and event.tokens:
            moments.append(event.t_ns)
        elif isinstance(event, Done | Failed):
            done = event
    if done is None:
        return Timed(
            timings=Timings(submitted=submitted, ended=time.monotonic_ns()),
            usage=Usage(),
            error="it broke off",
        )
    return Timed(
        timings=done.timings,
        usage=done.usage,
        gaps=tuple((b - a) / 1e9 for a, b in itertools.pairwise(moments)),
        steps=len(moments),
        error=done.error.sentence() if isinstance(done, Failed) else "",
    )
