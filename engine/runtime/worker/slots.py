"""The slots of one model: which requests run, which wait, and what they share.

Requests come in prepared; their choices wait in line, get a slot, and give it up when they end or have to make way.
What they computed goes to the prefix cache and comes from there. Events for readers collect in `out`.
"""

from __future__ import annotations

import time

from engine.errors import HearthError, InsufficientMemory
from engine.runtime.backends.base import SequenceSpec, StepBackend
from engine.runtime.limits import Limits
from engine.runtime.wire import Item, Notice
from engine.runtime.worker import scheduler
from engine.runtime.worker.active import Active
from engine.runtime.worker.cache import Found, Live, PrefixCache
from engine.runtime.worker.choice import Choice
from engine.runtime.worker.line import Line
from engine.runtime.worker.prefix import whole_pictures
from engine.types import Class, Queued


class Slots:
    """See the module. Used from the runner's thread."""

    def __init__(self, backend: StepBackend, limits: Limits, cache: PrefixCache) -> None:
        self._backend, self._limits, self._cache = backend, limits, cache
        self._most = backend.facts.capabilities.max_slots
        self.requests: dict[int, Active] = {}
        self.running: dict[int, Choice] = {}
        """By slot."""
        self.line = Line(self._most)
        self.out: list[Item] = []
        self.crowded = False
        """Whether a sequence just had to give up its slot for want of KV cells, so that nobody may come in."""
        self._postponed = False
        """Whether somebody who may displace others could not come in yet."""

    @property
    def free(self) -> int:
        """How many slots are free."""
        return self._most - len(self.running)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do: a step, or somebody to be let in."""
        return bool(self.running) or (bool(self.line) and not self.line.held)

    @property
    def urgent(self) -> bool:
        """Whether somebody at a screen waits for a first token."""
        return any(
            self.requests[choice.key].priority == "interactive" and not choice.decoding
            for choice in self.running.values()
        )

    def begin(self, active: Active) -> None:
        """Let the choices of a new request wait for slots."""
        self.requests[active.work.key] = active
        for choice in active.choices:
            self.line.add(choice, active)

    def cancel(self, key: int) -> None:
        """End a request; one that has ended already is no error."""
        active = self.requests.get(key)
        if active is None:
            return
        now = time.monotonic_ns()
        for choice in active.choices:
            if not choice.finished:
                self.out += choice.finish("cancelled", now)
                self.release(choice)
        self.end(active, active.done("cancelled", now))

    def fill(self) -> None:
        """Give slots to those whose turn it is, and tell the others where they stand."""
        line = self.line
        free = self._free_slots()
        if not line or not (free or line.changed or self._postponed):
            return
        now = time.monotonic_ns()
        line.settle(active.client for active in self.requests.values())
        if free and not self.crowded:
            cells = self._free_cells()
            for choice in line.next(len(free), cells, now, lambda each: self._find(each).wait):
                # Its request may just have failed with another choice, and who came in a moment ago may be about to
                # compute what this one begins with.
                if not choice.finished and not self._find(choice).wait:
                    self._insert(choice, free.pop(0))
            blocked = line.blocked
            if blocked is not None and not blocked.finished and not self.running:
                # It has everything to itself, and that is not enough.
                self.fail(self.requests[blocked.key], too_long(blocked))
        if line.changed or self._postponed:
            self._displace(now)
        if line.changed:
            for active, position, eta in line.positions(now):
                self._tell_position(active, position, eta)

    def _find(self, choice: Choice) -> Found:
        """What the cache and the running sequences have of the prompt of `choice`."""
        active = self.requests[choice.key]
        if not active.scored_all:
            return Found(wait=choice.index > 0)
        if active.suspect and any(
            self.requests[each.key].suspect for each in self.running.values() if each.key != choice.key
        ):
            # One after the other, so that it shows whose step it is that breaks.
            return Found(wait=True)
        rank = scheduler.RANK[active.priority]
        reads = active.work.request.cache.read
        live = [
            Live(
                slot,
                other.root,
                each.array(),
                each.computed,
                each.prompt_tokens,
                scheduler.RANK[other.priority] <= rank,
            )
            for slot, each in self.running.items()
            for other in (self.requests[each.key],)
            # Choices of one request share its prompt in any case.
            if reads or each.key == choice.key
        ]
        return self._cache.find(active.root, choice.array(), live, shelves=reads)

    def _free_cells(self) -> int:
        """KV cells for newcomers: shelves make way for them."""
        return self._backend.cells - sum(choice.own for choice in self.running.values())

    def _displace(self, now: int) -> None:
        """Let requests that find no room come in for some of a lower class, which go on later."""
        self._postponed = False
        for head in self.line.order(now):
            if head.finished:
                # Its request has just failed with another choice.
                continue
            priority = self.requests[head.key].priority
            below = [each for each in self.running.values() if self._is_below(each, priority)]
            if not below:
                continue
            if self._find(head).wait or head.own > self._free_cells() + sum(each.own for each in below):
                self._postponed = True
                continue
            while self.crowded or not self.free or head.own > self._free_cells():
                victim = scheduler.displaced(self.states(), priority)
                assert victim is not None
                self.put_back(self.running[victim.slot])
            self._insert(head, self._free_slots()[0])

    def _is_below(self, choice: Choice, priority: Class) -> bool:
        return scheduler.RANK[self.requests[choice.key].priority] > scheduler.RANK[priority]

    def _free_slots(self) -> list[int]:
        return [slot for slot in range(self._most) if slot not in self.running]

    def _insert(self, choice: Choice, slot: int) -> None:
        active = self.requests[choice.key]
        request = active.work.request
        try:
            self._backend.insert(
                SequenceSpec(
                    slot=slot,
                    tokens=tuple(choice.tokens),
                    sampling=active.work.sampling,
                    seed=choice.seed,
                    guide=choice.guide,
                    sampler=choice.sampler,
                    top_logprobs=None if request.logprobs is None else request.logprobs.top,
                    spans=active.prepared.spans,
                )
            )
        except HearthError as error:
            self.fail(active, error)
            return
        # Looked up again: what was there a moment ago may have made way for somebody else.
        found = self._find(choice)
        self.line.remove(choice)
        self.running[slot] = choice
        choice.slot, choice.computed = slot, 0
        if found.holder is not None and found.count:
            try:
                self._backend.share(found.holder, slot, 0, found.count)
                choice.computed = found.count
            except InsufficientMemory:
                # It is computed, step by step, as far as there is room; what is kept makes way for it.
                self._cache.give_room(found.count)
        choice.shared = choice.computed
        miss = None
        if active.waits:
            marks = active.prepared.marks
            off = active.scored or not request.cache.read
            miss = self._cache.miss(active.root, choice.array(), choice.computed, marks, off=off)
            self.line.charge(choice, active)
        self.out += active.admit(time.monotonic_ns(), choice.computed, miss)

    def _tell_position(self, active: Active, position: int, eta: float | None) -> None:
        if active.position != position:
            active.position = position
            self.out.append(
                Notice(active.work.key, Queued(t_ns=time.monotonic_ns(), position=position, eta_s=eta))
            )

    def states(self) -> list[scheduler.Running]:
        """The running sequences as the scheduler sees them."""
        cuttable = self._backend.facts.capabilities.trim
        return [self._state(slot, choice, cuttable=cuttable) for slot, choice in self.running.items()]

    def _state(self, slot: int, choice: Choice, *, cuttable: bool) -> scheduler.Running:
        active = self.requests[choice.key]
        remaining = choice.remaining
        if not cuttable and not choice.generated and choice.computed < choice.prompt_tokens - 1:
            # Its state serves others only where it stands: stop once just before the prompt's last token.
            remaining = choice.prompt_tokens - 1 - choice.computed
        whole = False
        if choice.spans and not choice.decoding:
            most, whole = choice.border
            remaining = most if whole else min(remaining, most)
        return scheduler.Running(
            slot,
            active.priority,
            active.order,
            remaining,
            choice.decoding,
            active.work.adapters,
            scored=not active.scored_all,
            whole=whole,
        )

    def put_back(self, choice: Choice) -> None:
        """Give up the slot of `choice`; what it has computed stays in the cache as long as there is room."""
        active = self.requests[choice.key]
        self._suspend(choice, active)
        self.line.add(choice, active)

    def lose(self, choice: Choice, active: Active) -> None:
        """The state of `choice` was lost: it waits for a slot to compute it anew."""
        self._suspend(choice, active, keep=False)
        self.line.add(choice, active)

    def shift(self, choice: Choice, active: Active, now: int) -> None:
        """Make room in the window of `choice` by computing a shorter text in its place."""
        slot = choice.slot
        assert slot is not None
        self._suspend(choice, active)
        self.out += choice.shift(active.work.request.keep_tokens, now)
        self.line.add(choice, active)
        self._insert(choice, slot)

    def _suspend(self, choice: Choice, active: Active, *, keep: bool = True) -> None:
        assert choice.slot is not None
        if keep:
            self.keep(choice, active)
        choice.sampler = self._backend.suspend(choice.slot)
        self._vacate(choice)

    def _vacate(self, choice: Choice) -> None:
        assert choice.slot is not None
        del self.running[choice.slot]
        choice.slot, choice.computed, choice.shared = None, 0, 0
        self.crowded = False
        # Perhaps it was what all of them waited for.
        self.line.held = False

    def release(self, choice: Choice, *, keep: bool = True) -> None:
        """Take `choice` out of its slot, or out of the line; `keep` what it has computed for others."""
        if choice.slot is None:
            self.line.remove(choice)
            return
        active = self.requests[choice.key]
        if keep:
            self.keep(choice, active)
        self._backend.remove(choice.slot)
        self._vacate(choice)

    def keep(self, choice: Choice, active: Active) -> None:
        """Have the cache keep what `choice` has computed, if its request lets it."""
        if choice.slot is not None and choice.computed and active.work.request.cache.write:
            count = whole_pictures(choice.array(), choice.computed)
            if count != choice.computed and not self._backend.cuttable(choice.slot):
                return
            tokens = choice.array()[:count]
            self._cache.keep(
                choice.slot,
                active.root,
                tokens,
                prompt=choice.prompt_tokens,
                marks=active.prepared.marks,
            )

    def fail(self, active: Active, error: HearthError) -> None:
        """End a request in `error`."""
        for choice in active.choices:
            if not choice.finished:
                choice.finished = True
                self.release(choice, keep=False)
        self.end(active, active.failed(error, time.monotonic_ns()))

    def end(self, active: Active, last: Notice) -> None:
        """Take a request whose choices have all ended off the books; `last` is its terminal event."""
        del self.requests[active.work.key]
        self.line.forecast.ended(active.served_s)
        self.out.append(last)


def too_long(choice: Choice) -> InsufficientMemory:
    """The error of a prompt that the KV cache cannot hold, even with nothing beside it."""
    return InsufficientMemory(
        f"The prompt of {choice.prompt_tokens} tokens does not fit into the model's memory.",
        "The KV cache is smaller than one context window.",
        "Shorten the prompt, or load the model with more context or fewer slots.",
    )
