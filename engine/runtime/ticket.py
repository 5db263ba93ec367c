"""A request as the engine's side sees it, from submit to terminal event, over as many workers as it takes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from engine.checking import check
from engine.errors import DeadlineExceeded, HearthError
from engine.runtime.wire import Piece
from engine.sampling import resolve
from engine.stream import EventStream
from engine.types import (
    AdapterRef,
    Admitted,
    Alias,
    Delta,
    Done,
    DoneReason,
    Failed,
    Finished,
    GenerationRequest,
    Loading,
    ModelEntry,
    Prefill,
    Queued,
    RunningRequest,
    StreamEvent,
    Terminal,
    Timings,
    Usage,
)

MOST_GAPS = 16_384
"""How many gaps between tokens are kept of a request."""


class Target(Struct, frozen=True, kw_only=True):
    """What a model name stands for, found in the catalog."""

    entry: ModelEntry
    backend: str
    is_named: bool = False
    """Whether it is to be this backend; else one that has the model in memory already is as good."""
    adapters: tuple[AdapterRef, ...] = ()
    """Paths and scales of the name's own adapters."""
    recommended: Mapping[str, Any] = {}
    """The sampling that comes with the model's files."""
    sampling: Mapping[str, Any] = {}
    """That with the alias's over it."""
    name: str = ""
    """The alias by which it was found; empty: by none."""
    alias: Alias | None = None
    """That alias, its `system` the text of its `prompt` where it names one."""
    own: Alias | None = None
    """What the model answers with where neither a request nor the alias says anything, by the store it lies in."""

    @property
    def id(self) -> str:
        """Models are resident by this, each on one backend at a time."""
        return self.entry.id


class Ticket:
    """The account of one request; only touched on the engine's loop."""

    def __init__(
        self, key: int, request: GenerationRequest, stream: EventStream, on_end: Callable[[Ticket], None]
    ) -> None:
        self.key, self.request, self.stream = key, request, stream
        self.target: Target | None = None
        self.adapters: tuple[AdapterRef, ...] = ()
        self.state: Literal["loading", "queued", "prefill", "decode"] = "loading"
        self.submitted = time.monotonic_ns()
        self.load = 0
        """ns of model loads waited for."""
        self.deaths = 0
        self.starved = False
        """Memory has run out for it once, and its model was loaded anew with a smaller window."""
        self.cancelled = False
        self.terminal: Terminal | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        """Finds its model, and waits for it where the request is for no more than that."""
        self._on_end = on_end
        self._position = 0
        self._eta: float | None = None
        self._prompt_tokens = self._cached_tokens = 0
        self._completion_tokens = 0
        self._shown = False
        self.admitted: Admitted | None = None
        self.gaps: list[int] = []
        """Times between tokens, ns."""
        self._moments: dict[str, int] = {}
        # Checked and drawn here, so that a wrong value fails before any model is loaded.
        check(request)
        self._unfinished = set(range(request.n))
        said = resolve(request.sampling)
        self.seed = said.seed & 0xFFFFFFFF if said.seed >= 0 else random.getrandbits(32)

    @property
    def shown(self) -> int:
        """How many tokens the reader may have seen."""
        return max(self._completion_tokens, int(self._shown))

    # --- events

    def take_piece(self, piece: Piece) -> None:
        self._completion_tokens += piece.tokens
        self._shown = True
        self.state = "decode"
        if piece.tokens:
            last = self._moments.get("last_token")
            if last is None:
                self._moments["first_token"] = piece.t_ns
            elif piece.t_ns > last and len(self.gaps) < MOST_GAPS:
                self.gaps.append(piece.t_ns - last)
            self._moments["last_token"] = piece.t_ns
        self.stream.push(
            Delta(
                t_ns=piece.t_ns,
                choice=piece.choice,
                kind="reasoning" if piece.reasoning else "content",
                text=piece.text,
                tokens=piece.tokens,
                token_ids=piece.token_ids,
                logprobs=piece.logprobs,
            )
        )

    def take(self, event: StreamEvent) -> None:
        """Any other event of the worker."""
        match event:
            case Queued():
                self.state, self._position, self._eta = "queued", event.position, event.eta_s
            case Admitted():
                self.state, self._position = "prefill", 0
                self._prompt_tokens, self._cached_tokens = event.prompt_tokens, event.cached_tokens
                self.admitted = event
                self._moments.setdefault("admitted", event.t_ns)
                self._moments.setdefault("first_prefill", event.t_ns)
            case Prefill():
                self.state = "prefill"
            case Finished():
                self._unfinished.discard(event.choice)
        if isinstance(event, Done | Failed):
            self._end(event)
        else:
            self.stream.push(event)

    def loading(self, stage: str, fraction: float | None = None) -> None:
        self.state = "loading"
        self.stream.push(Loading(t_ns=time.monotonic_ns(), stage=stage, fraction=fraction))

    def end(self, reason: DoneReason) -> None:
        """End it well from this side: cancelled before a worker had it, or a mere load or unload."""
        now = time.monotonic_ns()
        if reason == "cancelled":
            for choice in sorted(self._unfinished):
                self.stream.push(Finished(t_ns=now, choice=choice, reason="cancelled"))
        self._end(
            Done(
                t_ns=now,
                reason=reason,
                usage=self._usage(),
                timings=self._timings(now),
                seed=self.seed,
                model=self.request.model,
                adapters=self.adapters,
                backend=self.target.backend if self.target is not None else "",
            )
        )

    def fail(self, error: HearthError) -> None:
        now = time.monotonic_ns()
        self._end(Failed(t_ns=now, error=error.info, usage=self._usage(), timings=self._timings(now)))

    def _end(self, event: Terminal) -> None:
        if self.terminal is None:
            self.terminal = event
            try:
                # First the books, then the news: who hears of the end may look at once, from another thread.
                self._on_end(self)
            finally:
                self.stream.push(event)

    # --- deadlines

    def next_deadline(self) -> int | None:
        """The next moment (ns) to look whether a deadline is over; None if none can be any more."""
        moments = [moment for _, moment, _ in self._deadlines()]
        stall = self.request.deadlines.stall
        if stall is not None and "first_token" not in self._moments:
            # It starts to count with the first token: look again no later than it could pass then.
            moments.append(time.monotonic_ns() + int(stall * 1e9))
        return min(moments, default=None)

    def overdue(self, now: int) -> DeadlineExceeded | None:
        for name, moment, seconds in self._deadlines():
            if moment <= now:
                return DeadlineExceeded(
                    f"The request passed its deadline `{name}` of {seconds:g} s.",
                    {
                        "queue": "It was still waiting for its turn.",
                        "ttft": "No token had come.",
                        "total": "It was not finished.",
                        "stall": "No further token came.",
                    }[name],
                    "Allow more time, or ask for fewer tokens.",
                    param=f"deadlines.{name}",
                )
        return None

    def _deadlines(self) -> list[tuple[str, int, float]]:
        limits, moments = self.request.deadlines, self._moments
        found: list[tuple[str, int, float | None]] = [("total", self.submitted, limits.total)]
        if "admitted" not in moments:
            found.append(("queue", self.submitted, limits.queue))
        if "first_token" not in moments:
            found.append(("ttft", self.submitted, limits.ttft))
        else:
            found.append(("stall", moments["last_token"], limits.stall))
        return [
            (name, start + int(seconds * 1e9), seconds)
            for name, start, seconds in found
            if seconds is not None
        ]

    # --- reports

    def running(self) -> RunningRequest:
        return RunningRequest(
            id=self.stream.id,
            model=self.target.id if self.target is not None else self.request.model,
            client=self.request.client,
            source=self.request.source,
            priority=self.request.priority,
            state=self.state,
            position=self._position,
            eta_s=self._eta,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            completion_tokens=self._completion_tokens,
            submitted_ns=self.submitted,
        )

    def _usage(self) -> Usage:
        return Usage(
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            completion_tokens=self._completion_tokens,
        )

    def _timings(self, now: int) -> Timings:
        return Timings(submitted=self.submitted, load=self.load, ended=now, **self._moments)
