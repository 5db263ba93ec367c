"""`Runner`, all that the edge knows of a loaded model, and `StepRunner`, which makes one of a `StepBackend`.

One thread owns the backend and runs the loop: take what came in, fill free slots, plan, step, send.
Calls from other threads only leave a note in the inbox; a cancel also interrupts a prefill under way.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Protocol

from engine.errors import HearthError, InsufficientMemory, InternalError
from engine.runtime import refusals, scheduler
from engine.runtime.active import Active
from engine.runtime.answers import Answers, Question
from engine.runtime.backends.base import Outcome, Row, SequenceSpec, StepBackend
from engine.runtime.choice import Choice
from engine.runtime.intake import Intake
from engine.runtime.scheduler import Limits, Turn
from engine.runtime.wire import Cancel, Item, Notice, Reply, Submit
from engine.types import AdapterRef, Failed, Prefill, Queued


class Runner(Protocol):
    """A loaded model at work. All but `run` may be called from any thread and return at once."""

    def submit(self, work: Submit) -> None: ...

    def cancel(self, key: int) -> None: ...

    def ask(self, question: Question) -> None:
        """Answered with a `Reply`."""
        ...

    def stop(self) -> None:
        """Make `run` return; what is running is dropped."""
        ...

    def run(self) -> None:
        """Work until `stop`; in the thread that loaded the model."""
        ...


class StepRunner:
    """Continuous batching over a `StepBackend`: many requests, one step at a time."""

    def __init__(
        self,
        backend: StepBackend,
        limits: Limits,
        emit: Callable[[list[Item]], None],
        reply: Callable[[Reply], None],
    ) -> None:
        self._backend = backend
        self._limits = limits
        self._emit, self._reply = emit, reply
        self._intake = Intake(backend, limits.answer_reserve)
        self._answers = Answers(backend)
        self._can = backend.facts.capabilities
        self._inbox: deque[Submit | Cancel | Question] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._prefilling: frozenset[int] = frozenset()
        self._requests: dict[int, Active] = {}
        self._waiting: list[Choice] = []
        self._running: dict[int, Choice] = {}
        self._order = 0
        self._turn = Turn()
        self._applied: tuple[AdapterRef, ...] | None = None
        """The adapters that hold in the backend; None: not set yet."""
        self._batch: int | None = None
        self._crowded = False
        self._out: list[Item] = []

    # --- from any thread

    def submit(self, work: Submit) -> None:
        self._note(work)

    def ask(self, question: Question) -> None:
        self._note(question)

    def cancel(self, key: int) -> None:
        with self._changed:
            self._inbox.append(Cancel(key))
            self._changed.notify()
            if key in self._prefilling:
                self._backend.interrupt()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
            if self._prefilling:
                self._backend.interrupt()

    def _note(self, note: Submit | Question) -> None:
        with self._changed:
            self._inbox.append(note)
            self._changed.notify()

    # --- the loop

    def run(self) -> None:
        while self.turn():
            pass

    def turn(self) -> bool:
        """One round: notes, slots, at most a step, what it gave. Waits without work; False at the end."""
        if not self._take_notes():
            return False
        self._fill_slots()
        # Who was admitted, moved up or cancelled should not have to wait for a long step to hear of it.
        self._flush()
        if self._running:
            self._step()
            self._flush()
        return True

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._emit(out)

    def _take_notes(self) -> bool:
        """Deal with the inbox, waiting for it when there is nothing to compute; False at the end."""
        with self._changed:
            if not self._running and not self._waiting:
                self._changed.wait_for(lambda: self._inbox or self._stopping)
            notes = list(self._inbox)
            self._inbox.clear()
            if self._stopping:
                return False
        for note in notes:
            if isinstance(note, Submit):
                self._accept(note)
            elif isinstance(note, Cancel):
                self._cancel(note.key)
            else:
                self._reply(self._answers.to(note))
        return True

    def _accept(self, work: Submit) -> None:
        try:
            free = self._can.max_slots - len(self._running)
            scheduler.check_room(self._queue(), work.request.priority, self._limits, free)
            refusals.check(work.request, self._can)
            prepared = self._intake.prepare(work.request)
        except HearthError as error:
            self._refuse(work, error)
        except Exception:
            traceback.print_exc()
            self._refuse(
                work, InternalError("The request could not be prepared.", traceback.format_exc(limit=-1))
            )
        else:
            active = Active(work, prepared, self._order, self._backend)
            self._order += 1
            self._requests[work.key] = active
            self._waiting += active.choices

    def _refuse(self, work: Submit, error: HearthError) -> None:
        now = time.monotonic_ns()
        self._out.append(Notice(work.key, Failed(t_ns=now, error=error.info)))

    def _cancel(self, key: int) -> None:
        active = self._requests.get(key)
        if active is None:
            return
        now = time.monotonic_ns()
        for choice in active.choices:
            if not choice.finished:
                self._out += choice.finish("cancelled", now)
                self._release(choice)
        self._end(active, active.done("cancelled", now))

    # --- slots

    def _queue(self) -> list[scheduler.Waiting]:
        return [
            scheduler.Waiting(
                (choice.key, choice.index),
                active.priority,
                active.order,
                self._waits_for_first(active, choice),
            )
            for choice in self._waiting
            for active in (self._requests[choice.key],)
        ]

    def _waits_for_first(self, active: Active, choice: Choice) -> bool:
        """Whether `choice` should wait, because it can share the prompt that the first one is computing."""
        first = active.choices[0]
        return self._can.fork and choice.index > 0 and not first.finished and first.generated == 0

    def _fill_slots(self) -> None:
        if not self._waiting:
            return
        free = [slot for slot in range(self._can.max_slots) if slot not in self._running]
        if free and not self._crowded:
            by_key = {(choice.key, choice.index): choice for choice in self._waiting}
            for each, slot in zip(scheduler.admit(self._queue(), len(free)), free, strict=False):
                choice = by_key[each.key]
                if not choice.finished:
                    self._insert(choice, slot)
        self._tell_positions()

    def _insert(self, choice: Choice, slot: int) -> None:
        active = self._requests[choice.key]
        request = active.work.request
        try:
            self._backend.insert(
                SequenceSpec(
                    slot=slot,
                    tokens=tuple(choice.tokens),
                    sampling=active.work.sampling,
                    seed=choice.seed,
                    constraint=request.constraint,
                    top_logprobs=None if request.logprobs is None else request.logprobs.top,
                )
            )
        except HearthError as error:
            self._fail(active, error)
            return
        self._waiting.remove(choice)
        self._running[slot] = choice
        choice.slot, choice.computed = slot, 0
        first = active.choices[0]
        if self._can.fork and choice is not first and first.slot is not None:
            shared = min(first.computed, choice.prompt_tokens - 1)
            if shared > 0 and first.tokens[:shared] == choice.tokens[:shared]:
                self._backend.fork(first.slot, slot, shared)
                choice.computed = shared
        self._out += active.admitted(time.monotonic_ns(), self._backend.facts.context)

    def _tell_positions(self) -> None:
        seen: set[int] = set()
        for each in scheduler.in_order(self._queue()):
            key = each.key[0]
            active = self._requests[key]
            if key in seen or not active.waits:
                continue
            seen.add(key)
            if active.position != len(seen):
                active.position = len(seen)
                self._out.append(Notice(key, Queued(t_ns=time.monotonic_ns(), position=len(seen))))

    def _release(self, choice: Choice) -> None:
        if choice.slot is None:
            self._waiting.remove(choice)
            return
        self._backend.remove(choice.slot)
        del self._running[choice.slot]
        choice.slot = None
        self._crowded = False

    def _fail(self, active: Active, error: HearthError) -> None:
        for choice in active.choices:
            if not choice.finished:
                choice.finished = True
                self._release(choice)
        self._end(active, active.failed(error, time.monotonic_ns()))

    def _end(self, active: Active, last: Notice) -> None:
        del self._requests[active.work.key]
        self._out.append(last)

    # --- the step

    def _step(self) -> None:
        running = [
            scheduler.Running(
                slot, active.priority, active.order, choice.remaining, choice.decoding, active.work.adapters
            )
            for slot, choice in self._running.items()
            for active in (self._requests[choice.key],)
        ]
        batch = self._backend.batch_limit if self._batch is None else self._batch
        plan = scheduler.plan(running, self._limits, batch, self._turn)
        if plan.turn.adapters != self._applied and not self._change_adapters(plan.turn):
            return
        self._turn = plan.turn
        started = time.monotonic_ns()
        for row in plan.rows:
            self._requests[self._running[row.slot].key].started(started)
        with self._changed:
            self._prefilling = frozenset(
                self._running[row.slot].key for row in plan.rows if not self._running[row.slot].decoding
            )
            pending = {note.key for note in self._inbox if isinstance(note, Cancel)}
        if self._prefilling & pending:
            return
        try:
            result = self._backend.step(plan.rows)
        except HearthError as error:
            for key in {self._running[row.slot].key for row in plan.rows}:
                self._fail(self._requests[key], error)
            return
        finally:
            with self._changed:
                self._prefilling = frozenset()
        if result.outcome is Outcome.NO_SLOT:
            self._make_room(running, sum(row.count for row in plan.rows))
            return
        if result.outcome is Outcome.OK:
            self._batch = None
            self._advance(plan.rows)
            now = time.monotonic_ns()
            for sampled in result.sampled:
                choice = self._running.get(sampled.slot)
                if choice is None:
                    # Its request failed while an earlier choice of it was dealt with.
                    continue
                active = self._requests[choice.key]
                active.sampled(now)
                if active.limit == 0:
                    self._out += choice.finish("length", now)
                else:
                    self._out += choice.take(sampled.token, sampled.logprob, now)
                if choice.finished:
                    self._release(choice)
                    if active.finished:
                        self._end(active, active.done("finished", time.monotonic_ns()))
                elif choice.full:
                    self._shift(choice, active)

    def _shift(self, choice: Choice, active: Active) -> None:
        """Make room in the window of `choice` by computing a shorter text in its place."""
        slot = choice.slot
        self._release(choice)
        choice.shift(active.work.request.keep_tokens)
        self._waiting.append(choice)
        if slot is not None:
            self._insert(choice, slot)

    def _change_adapters(self, turn: Turn) -> bool:
        try:
            self._backend.set_adapters(turn.adapters)
        except HearthError as error:
            for active in list(self._requests.values()):
                if active.work.adapters == turn.adapters:
                    self._fail(active, error)
            return False
        self._applied = turn.adapters
        return True

    def _advance(self, rows: tuple[Row, ...]) -> None:
        now = time.monotonic_ns()
        for row in rows:
            choice = self._running[row.slot]
            reading = choice.computed < choice.prompt_tokens
            choice.computed += row.count
            if reading and choice.index == 0 and not choice.generated and choice.computed > choice.told:
                choice.told = choice.computed
                self._out.append(
                    Notice(choice.key, Prefill(t_ns=now, done=choice.computed, total=choice.prompt_tokens))
                )

    def _make_room(self, running: list[scheduler.Running], tokens: int) -> None:
        """The KV cache is full: a smaller step, then one sequence less, then the last one has to end."""
        if tokens > 1:
            self._batch = tokens // 2
            return
        self._batch = None
        victim = scheduler.victim(running)
        if victim is not None:
            choice = self._running[victim.slot]
            self._release(choice)
            self._waiting.append(choice)
            self._crowded = True
            return
        choice = next(iter(self._running.values()))
        active = self._requests[choice.key]
        if choice.generated == 0:
            self._fail(
                active,
                InsufficientMemory(
                    f"The prompt of {choice.prompt_tokens} tokens does not fit into the model's memory.",
                    "The KV cache is smaller than one context window.",
                    "Shorten the prompt, or load the model with more context or fewer slots.",
                ),
            )
            return
        now = time.monotonic_ns()
        self._out += choice.finish("context_full", now)
        self._release(choice)
        if active.finished:
            self._end(active, active.done("finished", now))
