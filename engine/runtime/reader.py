"""The runner of a reader: a worker that holds a vocabulary and no weights, and only answers questions about text."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from engine.errors import InternalError
from engine.runtime.answers import Answers, Question, TextModel
from engine.runtime.wire import Item, Notice, Reply, Submit
from engine.types import Failed


class ReaderRunner:
    """See `engine.runtime.runner.Runner`."""

    def __init__(
        self, model: TextModel, emit: Callable[[list[Item]], None], reply: Callable[[Reply], None]
    ) -> None:
        self._answers = Answers(model)
        self._emit, self._reply = emit, reply
        self._inbox: queue.SimpleQueue[Question | None] = queue.SimpleQueue()

    def submit(self, work: Submit) -> None:
        error = InternalError("A request was sent to a process that has no weights.")
        self._emit([Notice(work.key, Failed(t_ns=time.monotonic_ns(), error=error.info))])

    def cancel(self, key: int) -> None:
        """There is nothing to cancel."""

    def ask(self, question: Question) -> None:
        self._inbox.put(question)

    def stop(self) -> None:
        self._inbox.put(None)

    def run(self) -> None:
        while (question := self._inbox.get()) is not None:
            self._reply(self._answers.to(question))
