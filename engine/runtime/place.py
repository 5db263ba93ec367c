"""One model's place in the engine: its worker, the requests that wait for it and those that run on it.

A place outlives its workers. It decides nothing about other models; that is `residency`, carried out by `room`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from engine.errors import ErrorInfo, HearthError
from engine.library.devices import canonical
from engine.runtime import residency
from engine.runtime.deaths import Deaths
from engine.runtime.estimates import Figures
from engine.runtime.filewatch import FileWatch
from engine.runtime.host import Host
from engine.runtime.memory import Held
from engine.runtime.meter import Meter
from engine.runtime.ticket import Target, Ticket
from engine.runtime.wire import Item, LoadProgress, Piece, Reply
from engine.types import LoadedModel, LoadOptions, MemoryUse, ModelFacts

State = Literal["absent", "arriving", "loading", "ready", "leaving"]


class Wanted(Struct, eq=False):
    """A call that waits for the model, loaded with `options` where they say something."""

    target: Target
    options: LoadOptions
    future: asyncio.Future[ModelFacts]
    tell: Callable[[str, float | None], None]
    """Hears of the load's progress."""
    force: bool = False
    """Whether it is to be loaded even if it does not fit."""


class Place:
    """`state`: absent (no process), arriving (checked, estimated, waiting for room), loading, ready, leaving."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.state: State = "absent"
        self.draining = False
        """Ready, but only for what runs already: a waiting request needs other load options."""
        self.arrival: asyncio.Task[None] | None = None
        """Brings the model in, while it is arriving and loading."""
        self.stage: LoadProgress | None = None
        self.host: Host | None = None
        self.facts: ModelFacts | None = None
        self.memory = MemoryUse()
        self.figures: Figures | None = None
        """What was predicted for it as it is loaded, or is to be."""
        self.files: FileWatch | None = None
        self.options = LoadOptions()
        self.asked = LoadOptions()
        """What of them somebody asked for, beside the settings."""
        self.forced = False
        """Somebody wanted it loaded although it does not fit by the figures."""
        self.narrowed: int | None = None
        """The window that the next load is to have unless one is asked for: with a larger one memory ran out."""
        self.error: ErrorInfo | None = None
        self.deaths = Deaths()
        self.waiting: list[Ticket] = []
        self.running: dict[int, Ticket] = {}
        self.wanted: list[Wanted] = []
        """Calls that wait for the model, beside the requests."""
        self.replies: dict[int, asyncio.Future[Reply]] = {}
        self.meter = Meter()
        self.last_used = time.monotonic_ns()
        self.last_heard = 0
        self.load_seconds = 0.0
        self.watch: asyncio.TimerHandle | None = None
        """The next look whether the worker still moves."""
        self.expires: int | None = None
        self.keep_alive: float | None = None
        """Seconds, as the last request or load wanted it that said anything, as in Ollama; None: nobody yet."""
        self.pinned = False
        self.shrunk = False
        """It has given up its KV cache."""
        self.can_shrink = True
        self.resizing: asyncio.Future[MemoryUse] | None = None
        """It is giving up its KV cache, or waits for room to have it again."""
        self.growth: asyncio.Task[None] | None = None
        self.refusal: ErrorInfo | None = None
        """Why it could not have its KV cache again when it last wanted it."""

    @property
    def id(self) -> str:
        return self.target.id

    @property
    def references(self) -> int:
        return (
            len(self.waiting) + len(self.running) + len(self.wanted) + len(self.replies)
            + (self.state in ("arriving", "loading")) + (self.resizing is not None)
        )  # fmt: skip

    @property
    def needed(self) -> bool:
        """Whether anybody waits for the model to be loaded."""
        return bool(self.waiting or self.wanted)

    @property
    def busy(self) -> bool:
        """Whether anybody waits for what the worker says."""
        return bool(self.running or self.replies)

    @property
    def in_memory(self) -> bool:
        """Whether it takes memory now, or is about to."""
        return self.state in ("loading", "ready", "leaving")

    # --- what it holds

    @property
    def holds(self) -> Mapping[str, int]:
        """Bytes by pool of memory."""
        if self.figures is None:
            return {}
        given_up = self.figures.spare if self.shrunk else {}
        return {pool: size - given_up.get(pool, 0) for pool, size in self.figures.demand.items()}

    def resident(self) -> residency.Resident:
        spare = self.figures.spare if self.figures is not None else {}
        return residency.Resident(
            model=self.id,
            references=self.references,
            last_used=self.last_used,
            expires=self.expires,
            leaving=self.state == "leaving",
            pinned=self.pinned,
            holds=self.holds,
            spare=spare if self.can_shrink and not self.shrunk and any(spare.values()) else {},
            load_seconds=self.load_seconds,
            weight=residency.FOR_EVER_WEIGHT if self.keep_alive is not None and self.keep_alive < 0 else 1.0,
        )

    def held(self) -> Held:
        is_mapped = self.options.use_mmap is not False and self.target.backend == "llama"
        devices = self.figures.estimate.devices if self.figures is not None and is_mapped else ()
        mapped = sum(each.weights for each in devices if each.kind == "cpu")
        return Held(self.holds, mapped, loading=self.state == "loading")

    # --- what is asked of it

    def suits(self, wanted: LoadOptions, target: Target) -> bool:
        """Whether the model as it is loaded has every option that `wanted` says, and the backend that was named."""
        plain = LoadOptions()
        if target.is_named and target.backend != self.target.backend:
            return False
        return (
            self._window_suits(wanted.context)
            and canonical(wanted.device) in (None, canonical(self.options.device))
            and all(
                getattr(wanted, name) in (getattr(plain, name), getattr(self.options, name))
                for name in LoadOptions.__struct_fields__
                if name not in ("context", "device")
            )
        )

    def _window_suits(self, context: int | None) -> bool:
        if context is None or context == self.options.context or self.facts is None:
            return True
        # No window is longer than the one that the model was made for.
        return min(context, self.facts.context_trained or context) == self.facts.context

    def asked_target(self) -> Target:
        """What the next load is of: the first of those who wait that names a backend, else any of them."""
        waiting = [
            *(wanted.target for wanted in self.wanted),
            *(ticket.target for ticket in self.waiting if ticket.target is not None),
        ]
        return next((target for target in waiting if target.is_named), waiting[0] if waiting else self.target)

    def asked_options(self) -> LoadOptions:
        """What the next load is asked for by those who wait: calls first, of them the first that says something."""
        for wanted in self.wanted:
            if wanted.options != LoadOptions():
                return wanted.options
        return self.waiting[0].request.load if self.waiting else LoadOptions()

    # --- what the worker says

    def take_items(self, items: Sequence[Item]) -> None:
        self.last_heard = time.monotonic_ns()
        for item in items:
            self.meter.take(item)
            ticket = self.running.get(item.key)
            if ticket is None:
                # Ended here already, by a deadline or an unload.
                continue
            if isinstance(item, Piece):
                ticket.take_piece(item)
            else:
                ticket.take(item.event)

    def take_reply(self, reply: Reply) -> None:
        self.last_heard = time.monotonic_ns()
        future = self.replies.pop(reply.call, None)
        if future is not None and not future.done():
            future.set_result(reply)

    def take_progress(self, progress: LoadProgress) -> None:
        self.last_heard = time.monotonic_ns()
        self.tell(progress.stage, progress.fraction)

    def take_memory(self, memory: MemoryUse) -> None:
        """It holds another amount now: it has given up its KV cache, or made it anew."""
        self.last_heard = time.monotonic_ns()
        self.memory = memory
        if self.resizing is not None and not self.resizing.done():
            self.resizing.set_result(memory)

    def tell(self, stage: str, fraction: float | None = None) -> None:
        """Tell everybody who waits for the model what its load is at."""
        news = LoadProgress(stage, fraction)
        if news == self.stage:
            return
        self.stage = news
        for ticket in self.waiting:
            ticket.loading(stage, fraction)
        for call in self.wanted:
            call.tell(stage, fraction)

    # --- its end

    def fail_waiting(self, error: HearthError) -> None:
        """End everything that waits for the model in `error`."""
        # Off the list before any of them is told: an ending looks at who still waits.
        waiting, self.waiting = self.waiting, []
        wanted, self.wanted = self.wanted, []
        for ticket in waiting:
            ticket.fail(error)
        for call in wanted:
            if not call.future.done():
                call.future.set_exception(error)

    def fail_replies(self, error: HearthError) -> None:
        replies, self.replies = self.replies, {}
        for future in replies.values():
            if not future.done():
                future.set_exception(error)

    def clear(self) -> None:
        """The worker is gone: nothing of the model is in memory any more."""
        if self.files is not None:
            self.files.close()
        self.host, self.files, self.facts, self.figures = None, None, None, None
        self.memory, self.stage = MemoryUse(), None
        self.meter.forget()
        self.draining, self.shrunk, self.can_shrink = False, False, True
        self.expires, self.keep_alive = None, None
        self.state = "absent"

    def report(self) -> LoadedModel:
        return LoadedModel(
            id=self.id,
            state=self._reported_state(),
            stage=self.stage.stage if self.stage is not None and self.state != "ready" else "",
            fraction=self.stage.fraction if self.stage is not None and self.state != "ready" else None,
            facts=self.facts,
            memory=self.memory,
            pid=self.host.pid if self.host is not None else None,
            active=sum(ticket.state in ("prefill", "decode") for ticket in list(self.running.values())),
            queued=len(self.waiting)
            + sum(ticket.state in ("loading", "queued") for ticket in list(self.running.values())),
            expires_ns=self.expires if not self.references and not self.pinned else None,
            pinned=self.pinned,
            estimate=self.figures.estimate if self.figures is not None else None,
            error=self.error,
        )

    def _reported_state(self) -> Literal["loading", "ready", "busy", "shrunk", "draining", "failed"]:
        match self.state:
            case "absent":
                return "failed"
            case "arriving" | "loading":
                return "loading"
            case "leaving":
                return "failed" if self.error is not None else "draining"
        if self.draining:
            return "draining"
        if self.running:
            return "busy"
        return "shrunk" if self.shrunk else "ready"
