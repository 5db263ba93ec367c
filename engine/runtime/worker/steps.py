"""Steps: plans one, has the backend compute it, hands out what it gave, and mends what went wrong.

Errors stay with the request that caused them. A refused step is tried row by row. Where the state of all sequences was
lost, the backend is made anew and everybody goes on from the tokens that are known; who was there twice without having
drawn a token in between is the suspect, and fails.
"""

from __future__ import annotations

import time
from typing import Protocol

from engine.errors import HearthError, InsufficientMemory, ModelUnavailable
from engine.runtime.backends.base import Outcome, Row, Sampled, StateLost, StepBackend, StepResult
from engine.runtime.limits import Limits
from engine.runtime.wire import Notice
from engine.runtime.worker import scheduler
from engine.runtime.worker.cache import PrefixCache
from engine.runtime.worker.choice import Choice
from engine.runtime.worker.drafting import Drafting
from engine.runtime.worker.scheduler import Room, Turn
from engine.runtime.worker.slots import Slots, too_long
from engine.text_safety import plain
from engine.types import AdapterRef, Prefill

_LEAST_ROOM = 256
"""KV cells that are freed at once, so that the next step need not ask again."""


class Guard(Protocol):
    """Who may break off a step that is being computed."""

    def enter(self, rows: tuple[Row, ...]) -> bool:
        """Told what is about to be computed; False if it should not be, after all."""
        ...

    def leave(self) -> None:
        """It has been computed, or not."""
        ...


class Steps:
    """See the module. Used from the runner's thread."""

    def __init__(
        self,
        backend: StepBackend,
        limits: Limits,
        slots: Slots,
        cache: PrefixCache,
        guard: Guard,
        drafting: Drafting,
    ) -> None:
        self._backend, self._limits, self._slots, self._cache = backend, limits, slots, cache
        self._guard, self._drafting = guard, drafting
        self._turn = Turn()
        self._applied: tuple[tuple[AdapterRef, ...], str] | None = None
        """The adapters that hold in the backend, and what told them from all others then; None: not set yet."""
        self._batch: int | None = None
        """Tokens that the next step may have, where the last did not fit."""

    def step(self) -> None:
        """Plan and compute one step for the running sequences, of which there is at least one."""
        slots = self._slots
        running = self._drafting.guessed(slots.states())
        tokens = self._backend.batch_limit if self._batch is None else self._batch
        room = Room(tokens, self._backend.output_limit)
        plan = scheduler.plan(running, self._limits, room, self._turn, time.monotonic_ns())
        if not self._hold(plan.turn) and not self._change_adapters(plan.turn):
            return
        self._turn = plan.turn
        started = time.monotonic_ns()
        for row in plan.rows:
            slots.requests[slots.running[row.slot].key].started(started)
        if not self._guard.enter(plan.rows):
            return
        try:
            result = self._backend.step(plan.rows)
        except StateLost as error:
            self._recover(error)
            return
        except InsufficientMemory as error:
            self._make_room(running, plan.rows, error)
            return
        except HearthError as error:
            self._isolate(plan.rows, error)
            return
        finally:
            self._guard.leave()
        if result.outcome is Outcome.NO_SLOT:
            self._make_room(running, plan.rows)
        elif result.outcome is Outcome.OK:
            self._batch = None
            if all(row.count == 1 and slots.running[row.slot].decoding for row in plan.rows):
                self._drafting.pace.took(sum(row.size for row in plan.rows), time.monotonic_ns() - started)
            self._deliver(plan.rows, result)

    def renew(self) -> None:
        """Make the backend anew, empty. Raises what opening it raises."""
        self._backend.rebuild()
        self._applied = None

    def _deliver(self, rows: tuple[Row, ...], result: StepResult) -> None:
        """Hand out what a step gave."""
        slots = self._slots
        now = time.monotonic_ns()
        for scores in result.scored:
            active = slots.requests[slots.running[scores.slot].key]
            slots.out += active.score(scores.start, scores.logprobs, now)
        self._advance(rows, now)
        drawn: dict[int, list[Sampled]] = {}
        for sampled in result.sampled:
            drawn.setdefault(sampled.slot, []).append(sampled)
        for failure in result.failed:
            failed = slots.running.get(failure.slot)
            # Its request may have failed already, with another choice.
            if failed is not None:
                slots.fail(slots.requests[failed.key], failure.error)
        guesses = {row.slot: row.draft for row in rows if row.draft}
        for slot, tokens in drawn.items():
            choice = slots.running.get(slot)
            if choice is None:
                # Its request failed while an earlier choice of it was dealt with.
                continue
            if slot in guesses:
                active = slots.requests[choice.key]
                active.drafted += len(guesses[slot])
                active.accepted += len(tokens) - 1
                self._drafting.checked(slot, choice, len(guesses[slot]), len(tokens) - 1)
            self._take(choice, tokens, now)

    def _take(self, choice: Choice, tokens: list[Sampled], now: int) -> None:
        slots = self._slots
        active = slots.requests[choice.key]
        active.sampled(now)
        choice.computed += len(tokens) - 1
        for sampled in tokens:
            if active.limit == 0:
                slots.out += choice.finish("length", now)
            else:
                slots.out += choice.take(sampled.token, sampled.logprob, now)
            if choice.finished:
                break
        if not choice.finished and choice.guide is not None and choice.guide.ended:
            # Nothing but the end could follow: the step that would draw it can be spared.
            slots.out += choice.finish("stop", now)
        if choice.finished:
            choice.computed = min(choice.computed, len(choice.tokens))
            slots.release(choice)
            if active.finished:
                slots.end(active, active.done("finished", time.monotonic_ns()))
        elif choice.full:
            slots.shift(choice, active, now)

    def _hold(self, turn: Turn) -> bool:
        """Whether the adapters of `turn` are those in the backend, as their files were when they were asked for."""
        if self._applied is None:
            return False
        adapters, identity = self._applied
        return turn.adapters == adapters and all(
            active.root.adapters == identity for active in self._slots.requests.values()
            if adapters and active.work.adapters == adapters
        )  # fmt: skip

    def _change_adapters(self, turn: Turn) -> bool:
        """Whether they could be set. Requests that began with other files of the same names fail."""
        slots = self._slots
        asked = [each for each in slots.requests.values() if each.work.adapters == turn.adapters]
        try:
            identity, known = self._backend.adapter_identity(turn.adapters), None
            while identity != known:
                # Somebody may be writing them: what was read is only known if it is the same before and after.
                known = identity
                self._backend.set_adapters(turn.adapters)
                identity = self._backend.adapter_identity(turn.adapters)
        except HearthError as error:
            for active in asked:
                slots.fail(active, error)
            return False
        self._applied = turn.adapters, identity
        earlier = [active for active in asked if active.root.adapters != identity]
        for active in earlier:
            slots.fail(active, _written_anew(turn.adapters))
        # The plan was made with them.
        return not earlier

    def _advance(self, rows: tuple[Row, ...], now: int) -> None:
        slots = self._slots
        for row in rows:
            choice = slots.running[row.slot]
            active = slots.requests[choice.key]
            reading = choice.computed < choice.prompt_tokens
            choice.computed += row.count
            if not reading:
                continue
            if not self._backend.facts.capabilities.trim and choice.computed == choice.prompt_tokens - 1:
                slots.keep(choice, active)
            first = choice.index == 0 and not choice.generated and choice.computed > choice.told
            if first and active.scored_all:
                choice.told = choice.computed
                progress = Prefill(t_ns=now, done=choice.computed, total=choice.prompt_tokens)
                slots.out.append(Notice(choice.key, progress))

    def _make_room(
        self, running: list[scheduler.Running], rows: tuple[Row, ...], error: InsufficientMemory | None = None
    ) -> None:
        """The KV cache is full: shelves make way, then a smaller step, then a sequence less, then the last ends.

        So it goes too where memory itself ran out in the step; the last then ends in `error`.
        """
        slots = self._slots
        if self._cache.give_room(max(sum(row.size for row in rows), _LEAST_ROOM)):
            return
        tokens = sum(row.size for row in rows if not row.whole)
        if tokens > 1:
            self._batch = tokens // 2
            return
        self._batch = None
        victim = scheduler.victim(running)
        if victim is not None:
            slots.put_back(slots.running[victim.slot])
            slots.crowded = True
            return
        choice = next(iter(slots.running.values()))
        active = slots.requests[choice.key]
        if error is not None or choice.generated == 0:
            slots.fail(active, error or too_long(choice))
            return
        now = time.monotonic_ns()
        slots.out += choice.finish("context_full", now)
        slots.release(choice)
        if active.finished:
            slots.end(active, active.done("finished", now))

    def _isolate(self, rows: tuple[Row, ...], error: HearthError) -> None:
        """A step was refused: find whose row it was by trying each alone, and fail only that request."""
        slots = self._slots
        for row in rows:
            choice = slots.running.get(row.slot)
            if choice is None:
                continue
            if len(rows) == 1:
                slots.fail(slots.requests[choice.key], error)
                return
            try:
                result = self._backend.step((row,))
            except StateLost as lost:
                self._recover(lost)
                return
            except HearthError as refused:
                slots.fail(slots.requests[choice.key], refused)
            else:
                if result.outcome is Outcome.OK:
                    self._deliver((row,), result)

    def _recover(self, error: HearthError) -> None:
        """The state of every sequence is lost: make the backend anew, and let all start again but the suspects."""
        slots = self._slots
        self._cache.forget()
        running = list(slots.running.values())
        for choice in running:
            slots.lose(choice, slots.requests[choice.key])
        self.renew()
        for key in {choice.key for choice in running}:
            if not slots.requests[key].lost():
                slots.fail(slots.requests[key], error)


def _written_anew(adapters: tuple[AdapterRef, ...]) -> ModelUnavailable:
    names = ", ".join(plain(adapter.name, 200) for adapter in adapters)
    return ModelUnavailable(
        "An adapter was written anew while it was in use.",
        f"{names}: its files are no longer those that the answer began with.",
        "Ask again.",
        param="adapters",
    )
