"""`Runner`, all that the edge knows of a loaded model, and `StepRunner`, which makes one of a `StepBackend`.

One thread owns the backend and runs the loop: take what came in, fill free slots, step, send. Calls from other threads
only leave a note in the inbox; a cancel, and a request from a screen, also break off a step that is in their way.
Prompts are put together by helper threads, so that a long one holds up nobody.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from msgspec import Struct

from engine.errors import HearthError, InternalError
from engine.runtime.backends.base import Row, StepBackend
from engine.runtime.limits import Limits
from engine.runtime.wire import Cancel, Count, Forget, Item, Notice, Question, Reply, Shrink, Submit
from engine.runtime.worker import refusals, waiting
from engine.runtime.worker.active import Active
from engine.runtime.worker.cache import PrefixCache
from engine.runtime.worker.draft_model import DraftModel
from engine.runtime.worker.drafting import Drafting
from engine.runtime.worker.errands import Errands, Reading
from engine.runtime.worker.intake import Intake, Prepared
from engine.runtime.worker.preparing import Preparing, sees
from engine.runtime.worker.slots import Slots
from engine.runtime.worker.steps import Steps
from engine.types import Done, Failed, Finished, Timings

HELPERS = 2
"""Threads that put prompts together; with none it is done in the loop itself."""
_SAVE_AFTER = 5.0
"""Seconds without work after which what is worth it goes to disk."""
_SAVE_AT_END = 2.0
"""Seconds that a stop may take for the same."""


class Runner(Protocol):
    """A loaded model at work. All but `run` may be called from any thread and return at once."""

    def submit(self, work: Submit) -> None: ...

    def cancel(self, key: int) -> None: ...

    def ask(self, question: Question) -> None:
        """Answered with a `Reply`."""
        ...

    def forget(self, call: int) -> None:
        """Nobody waits for the answer to a question any more."""
        ...

    def shrink(self) -> None:
        """Give up everything but the weights until there is work again, if there is none now."""
        ...

    def poke(self) -> None:
        """Saved state that was asked for is there."""
        ...

    def stop(self) -> None:
        """Make `run` return; what is running is dropped."""
        ...

    def run(self) -> None:
        """Work until `stop`; in the thread that loaded the model."""
        ...


class _Ready(Struct, frozen=True):
    """A helper has put the prompt of a request together, or could not."""

    work: Submit
    result: Prepared | HearthError


_Note = Submit | Cancel | Question | Forget | Shrink | _Ready | Reading


class StepRunner:
    """Continuous batching over a `StepBackend`: many requests, one step at a time."""

    def __init__(
        self,
        backend: StepBackend,
        limits: Limits,
        emit: Callable[[list[Item]], None],
        reply: Callable[[Reply], None],
        *,
        cache: PrefixCache | None = None,
        draft: DraftModel | None = None,
        resized: Callable[[], None] = lambda: None,
        helpers: int = HELPERS,
    ) -> None:
        self._backend = backend
        self._limits = limits
        self._emit = emit
        self._intake = Intake(backend, limits.answer_reserve)
        self._errands = Errands(backend, self._intake, reply, resized, limits.queue_api)
        self._resized = resized
        self._shrunk = False
        self._helpers = helpers
        self._cache = cache or PrefixCache(backend, None, enabled=False)
        self._slots = Slots(backend, limits, self._cache)
        self._draft = draft
        trims = backend.facts.capabilities.trim
        drafting = Drafting(limits, self._slots, draft, trims=trims)
        self._steps = Steps(backend, limits, self._slots, self._cache, self, drafting)
        self._inbox: deque[_Note] = deque()
        self._changed = threading.Condition()
        self._stopping = self._poked = False
        self._breakable: frozenset[int] = frozenset()
        """Keys of the requests for whose cancel the running step may be broken off."""
        self._yields = False
        """Whether the running step makes way for a request from a screen."""
        self._preparing = Preparing(
            lambda work: self._note(self._prepared(work)), helpers, backend.facts.capabilities.max_slots
        )
        self._order = 0

    # --- from any thread

    def submit(self, work: Submit) -> None:
        self._note(work)
        # At once, and not when the loop has time to look: a request from a screen may break off its step.
        self._preparing.begin(work)

    def ask(self, question: Question) -> None:
        if self._helpers == 0:
            self._note(question)
        else:
            pictures = isinstance(question, Count) and sees(question.request)
            self._preparing.run(lambda: self._look_into(question), pictures=pictures)

    def forget(self, call: int) -> None:
        self._note(Forget(call))

    def _look_into(self, question: Question) -> None:
        reading = self._errands.prepare(question)
        if reading is not None:
            self._note(reading)

    def cancel(self, key: int) -> None:
        self._note(Cancel(key))

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
            if self._breakable or self._yields:
                self._backend.interrupt()

    def shrink(self) -> None:
        self._note(Shrink())

    def poke(self) -> None:
        with self._changed:
            self._poked = True
            self._changed.notify()

    def _note(self, note: _Note) -> None:
        with self._changed:
            self._inbox.append(note)
            self._changed.notify()
            if self._calls(note):
                # Once is enough, and a later step may not be meant.
                self._breakable, self._yields = frozenset(), False
                self._backend.interrupt()

    # --- the loop

    def run(self) -> None:
        while self.turn():
            pass
        self._cache.close(_SAVE_AT_END)
        self._preparing.close()

    def turn(self) -> bool:
        """One round: notes, slots, at most a step, what it gave. Waits without work; False at the end."""
        if not self._take_notes():
            return False
        self._slots.fill()
        # Who was admitted, moved up or cancelled should not have to wait for a long step to hear of it.
        self._flush()
        if self._slots.running:
            self._steps.step()
            self._flush()
        # Texts make way, as sequences do, for a request from a screen that comes meanwhile.
        if self._errands.busy and not self._slots.urgent and self.enter(()):
            try:
                self._errands.step()
            finally:
                self.leave()
        return True

    def _flush(self) -> None:
        slots = self._slots
        if slots.out:
            out, slots.out = slots.out, []
            self._emit(out)

    def _take_notes(self) -> bool:
        """Deal with the inbox, waiting for it when there is nothing to compute; False at the end."""
        self._preparing.look(self._slots.requests.values())
        with self._changed:
            if not (self._slots.busy or self._errands.busy):
                pause = self._pause()
                self._changed.wait_for(lambda: self._inbox or self._stopping or self._poked, pause)
            notes = list(self._inbox)
            self._inbox.clear()
            self._poked = False
            if self._stopping:
                return False
        if not notes and self._idle:
            self._save_one()
            self._errands.tidy()
        for note in notes:
            if isinstance(note, Submit):
                self._accept(note)
            elif isinstance(note, _Ready):
                self._begin(note)
            elif isinstance(note, Cancel):
                self._cancel(note.key)
            elif isinstance(note, Reading):
                self._read(note)
            elif isinstance(note, Shrink):
                self._shrink()
            elif isinstance(note, Forget):
                self._errands.forget(note.call)
            else:
                self._look_into(note)
        self._preparing.look(self._slots.requests.values())
        if not self._shrunk:
            # Else it waits for the KV cache into which it would be read.
            self._cache.news()
        return True

    @property
    def _idle(self) -> bool:
        return not (self._slots.requests or self._preparing)

    def _read(self, reading: Reading) -> None:
        try:
            self._grow()
        except HearthError as error:
            self._errands.refuse(reading, error)
        else:
            self._errands.begin(reading)

    def _shrink(self) -> None:
        """Save what is worth it and give up the rest; told in any case, also where there is work."""
        if self._idle and not self._errands.busy and not self._shrunk:
            for shelf in self._cache.unsaved():
                self._cache.save(shelf)
            self._cache.forget()
            self._intake.forget()
            self._backend.shrink()
            if self._draft is not None:
                self._draft.shrink()
            self._shrunk = True
        self._resized()

    def _grow(self) -> None:
        """Have the KV cache again. Raises what opening it raises."""
        if self._shrunk:
            self._steps.renew()
            if self._draft is not None:
                self._draft.rebuild()
            self._shrunk = False
            self._resized()

    def _pause(self) -> float | None:
        """How long the loop may sleep without work; None: until somebody calls."""
        pauses = [self._errands.pause()]
        if self._idle and self._cache.unsaved():
            pauses.append(max(0.0, _SAVE_AFTER - self._cache.idle_for()))
        return min((each for each in pauses if each is not None), default=None)

    def _save_one(self) -> None:
        """Put one idle sequence on disk; between two, a request can come in."""
        unsaved = self._cache.unsaved()
        if unsaved and self._cache.idle_for() >= _SAVE_AFTER:
            self._cache.save(unsaved[0])

    def _accept(self, work: Submit) -> None:
        """Take a request in, unless the queue is full; its prompt is being put together meanwhile."""
        priority = work.request.priority
        try:
            self._grow()
            line = self._slots.line
            ahead = line.ahead(priority) + self._preparing.count(priority)
            waiting.check_room(ahead, priority, self._limits, self._slots.free, line.forecast.wait(1))
            refusals.check(work.request, self._backend.facts.capabilities)
        except HearthError as error:
            self._refuse(work, error)
            return
        self._preparing.accept(work)
        if self._helpers == 0:
            self._begin(self._prepared(work))

    def _prepared(self, work: Submit) -> _Ready:
        try:
            # One of words may be ready before it is accepted.
            wanted = partial(self._preparing.__contains__, work.key) if sees(work.request) else None
            return _Ready(work, self._intake.prepare(work.request, wanted))
        except HearthError as error:
            return _Ready(work, error)
        except Exception:
            traceback.print_exc()
            reason = traceback.format_exc(limit=-1)
            return _Ready(work, InternalError("The request could not be prepared.", reason))

    def _begin(self, ready: _Ready) -> None:
        work = ready.work
        if not self._preparing.ready(work.key):
            # Cancelled meanwhile, or refused.
            return
        if isinstance(ready.result, HearthError):
            self._refuse(work, ready.result)
            return
        try:
            active = Active(work, ready.result, self._order, self._backend, draft=self._limits.draft)
        except HearthError as error:
            self._refuse(work, error)
            return
        self._order += 1
        self._slots.begin(active)

    def _refuse(self, work: Submit, error: HearthError) -> None:
        now = time.monotonic_ns()
        self._slots.out.append(Notice(work.key, Failed(t_ns=now, error=error.info)))

    def _cancel(self, key: int) -> None:
        work = self._preparing.drop(key)
        if work is not None:
            self._slots.out += unread(work, time.monotonic_ns())
        else:
            self._slots.cancel(key)

    # --- the guard of a step

    def enter(self, rows: tuple[Row, ...]) -> bool:
        """See `Guard` of `steps`: False if somebody has just called for whom the step would be broken off."""
        running, requests = self._slots.running, self._slots.requests
        keys = frozenset(running[row.slot].key for row in rows)
        reading = any(not running[row.slot].decoding for row in rows)
        with self._changed:
            self._breakable = keys if reading else frozenset()
            self._yields = all(requests[key].priority != "interactive" for key in keys)
            if any(self._calls(note) for note in self._inbox):
                self._breakable, self._yields = frozenset(), False
                return False
        return True

    def leave(self) -> None:
        with self._changed:
            self._breakable, self._yields = frozenset(), False

    def _calls(self, note: _Note) -> bool:
        """Whether a note is a reason to break off the step."""
        if isinstance(note, Cancel):
            return note.key in self._breakable
        return self._yields and isinstance(note, _Ready) and note.work.request.priority == "interactive"


def unread(work: Submit, now: int) -> list[Item]:
    """The end of a request that was cancelled before its prompt was put together."""
    ends: list[Item] = [
        Notice(work.key, Finished(t_ns=now, choice=index, reason="cancelled"))
        for index in range(work.request.n)
    ]
    timings = Timings(submitted=work.submitted, load=work.load, ended=now)
    done = Done(
        t_ns=now,
        reason="cancelled",
        timings=timings,
        seed=work.seed,
        model=work.request.model,
        adapters=work.adapters,
    )
    return [*ends, Notice(work.key, done)]
