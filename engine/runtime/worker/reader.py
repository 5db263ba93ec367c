"""The runner of a reader: a worker that holds a vocabulary and no weights, and only answers questions about text."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from engine.errors import HearthError, InternalError
from engine.runtime.backends.base import StepBackend
from engine.runtime.wire import Count, Detokenize, Item, Notice, Question, Render, Reply, Submit, Tokenize
from engine.runtime.worker.intake import Intake
from engine.types import Failed


class ReaderRunner:
    """See `engine.runtime.worker.runner.Runner`. `backend` is asked for nothing but text."""

    def __init__(
        self, backend: StepBackend, emit: Callable[[list[Item]], None], reply: Callable[[Reply], None]
    ) -> None:
        self._intake = Intake(backend, answer_reserve=0)
        self._emit, self._reply = emit, reply
        self._inbox: queue.SimpleQueue[Question | None] = queue.SimpleQueue()

    def submit(self, work: Submit) -> None:
        self._emit([Notice(work.key, Failed(t_ns=time.monotonic_ns(), error=_no_weights().info))])

    def cancel(self, key: int) -> None:
        """There is nothing to cancel."""

    def ask(self, question: Question) -> None:
        self._inbox.put(question)

    def forget(self, call: int) -> None:
        """An answer that nobody waits for does no harm."""

    def shrink(self) -> None:
        """There is nothing to give up."""

    def poke(self) -> None:
        """There is no saved state."""

    def stop(self) -> None:
        self._inbox.put(None)

    def run(self) -> None:
        while (question := self._inbox.get()) is not None:
            match question:
                case Tokenize() | Detokenize() | Render() | Count():
                    self._reply(self._intake.answer(question))
                case _:
                    self._reply(Reply(question.call, error=_no_weights().info))


def _no_weights() -> HearthError:
    return InternalError("A process without weights was asked to compute.")
