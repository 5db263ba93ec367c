"""One model's place in the engine: its worker, the requests that wait for it and those that run on it.

A place outlives its workers. It decides nothing about other models; that is `supervisor`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Literal

from engine.errors import ErrorInfo, HearthError
from engine.runtime.deaths import Deaths
from engine.runtime.host import Host
from engine.runtime.residency import Resident
from engine.runtime.ticket import Target, Ticket
from engine.runtime.wire import Item, LoadProgress, Piece, Reply
from engine.types import LoadedModel, LoadOptions, MemoryUse, ModelFacts

State = Literal["absent", "waiting", "loading", "ready", "leaving"]


class Place:
    """`state`: absent (no process), waiting (for room), loading, ready, leaving (its process is ending)."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.state: State = "absent"
        self.draining = False
        """Ready, but only for what runs already: a waiting request needs other load options."""
        self.host: Host | None = None
        self.facts: ModelFacts | None = None
        self.memory = MemoryUse()
        self.options = LoadOptions()
        self.error: ErrorInfo | None = None
        self.deaths = Deaths()
        self.waiting: list[Ticket] = []
        self.running: dict[int, Ticket] = {}
        self.wanted: list[asyncio.Future[ModelFacts]] = []
        """Calls that wait for the model, beside the requests."""
        self.wanted_options = LoadOptions()
        self.replies: dict[int, asyncio.Future[Reply]] = {}
        self.last_used = time.monotonic_ns()
        self.last_heard = 0
        self.watch: asyncio.TimerHandle | None = None
        """The next look whether the worker still moves."""
        self.expires: int | None = None
        self.keep_alive = 0.0
        """Seconds, as the last request or load wanted it."""

    @property
    def id(self) -> str:
        return self.target.id

    @property
    def references(self) -> int:
        return (
            len(self.waiting) + len(self.running) + len(self.wanted) + len(self.replies)
            + (self.state == "loading")
        )  # fmt: skip

    @property
    def needed(self) -> bool:
        """Whether anybody waits for the model to be loaded."""
        return bool(self.waiting or self.wanted)

    def resident(self) -> Resident:
        return Resident(self.id, self.references, self.last_used, self.expires, self.state == "leaving")

    def suits(self, wanted: LoadOptions) -> bool:
        """Whether the model as it is loaded has every option that `wanted` says."""
        plain = LoadOptions()
        return self._window_suits(wanted.context) and all(
            getattr(wanted, name) in (getattr(plain, name), getattr(self.options, name))
            for name in LoadOptions.__struct_fields__
            if name != "context"
        )

    def _window_suits(self, context: int | None) -> bool:
        if context is None or context == self.options.context or self.facts is None:
            return True
        # No window is longer than the one that the model was made for.
        return min(context, self.facts.context_trained or context) == self.facts.context

    # --- what the worker says

    def take_items(self, items: Sequence[Item]) -> None:
        self.last_heard = time.monotonic_ns()
        for item in items:
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
        for ticket in self.waiting:
            ticket.loading(progress.stage, progress.fraction)

    # --- its end

    def fail_waiting(self, error: HearthError) -> None:
        """End everything that waits for the model in `error`."""
        # Off the list before any of them is told: an ending looks at who still waits.
        waiting, self.waiting = self.waiting, []
        wanted, self.wanted = self.wanted, []
        for ticket in waiting:
            ticket.fail(error)
        for future in wanted:
            if not future.done():
                future.set_exception(error)

    def fail_replies(self, error: HearthError) -> None:
        replies, self.replies = self.replies, {}
        for future in replies.values():
            if not future.done():
                future.set_exception(error)

    def report(self) -> LoadedModel:
        states: dict[State, Literal["loading", "ready", "draining", "failed"]] = {
            "absent": "failed",
            "waiting": "loading",
            "loading": "loading",
            "ready": "draining" if self.draining else "ready",
            "leaving": "draining",
        }
        state = "failed" if self.state == "leaving" and self.error is not None else states[self.state]
        busy = state == "ready" and self.running
        return LoadedModel(
            id=self.id,
            state="busy" if busy else state,
            facts=self.facts,
            memory=self.memory,
            pid=self.host.pid if self.host is not None else None,
            active=sum(ticket.state in ("prefill", "decode") for ticket in list(self.running.values())),
            queued=len(self.waiting)
            + sum(ticket.state in ("loading", "queued") for ticket in list(self.running.values())),
            expires_ns=self.expires if not self.references else None,
            error=self.error,
        )
