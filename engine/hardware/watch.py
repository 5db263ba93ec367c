"""`Watch`: samples the machine on a thread of its own, once a second while somebody looks, else each half minute.

Who looks is who asks: a question makes it sample by itself for a few seconds more, so that a pane that asks once a
second has even steps between its points, and a pane that is hidden costs nothing. The coarse samples go to the
metrics store; the fine ones of the last minutes stay here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from engine.errors import InternalError, ModelUnavailable
from engine.hardware.machine import Machine
from engine.types.hardware import Hardware, HardwarePoint

log = logging.getLogger(__name__)

FINE_S: Final = 1.0
COARSE_S: Final = 30.0
ATTENTION_S: Final = 3.0
"""So long after a question somebody is taken to look."""
KEPT_S: Final = 900.0
"""How long fine points stay."""


class Watch:
    """`keep` takes a point each half minute, on the watch's thread, as long as the engine lives. Nothing is imported
    and nothing read before the first question or the first half minute."""

    def __init__(
        self,
        machine: Machine,
        keep: Callable[[HardwarePoint], None] = lambda point: None,
        *,
        fine: float = FINE_S,
        coarse: float = COARSE_S,
    ) -> None:
        self._machine, self._keep = machine, keep
        self._fine, self._coarse = fine, coarse
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._asked = float("-inf")
        self._questions: list[Future[Hardware]] = []
        self._newest: Hardware | None = None
        self._sampled = float("-inf")
        self._points: deque[HardwarePoint] = deque(maxlen=max(1, int(KEPT_S / fine)))
        self._kept = time.monotonic()
        self._resting = True

    def start(self) -> None:
        """Begin to keep coarse points. A second call does nothing."""
        with self._changed:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="hearth-hardware", daemon=True)
                self._thread.start()

    def now(self) -> Future[Hardware]:
        """A reading at most a second old; from any thread. ModelUnavailable once it is closed."""
        answer: Future[Hardware] = Future()
        with self._changed:
            now = time.monotonic()
            self._asked = now
            if self._closing:
                answer.set_exception(ModelUnavailable("Hearth is closing.", fix="Start it again."))
            elif self._newest is not None and now - self._sampled < self._fine:
                answer.set_result(self._newest)
            else:
                self._questions.append(answer)
                self._changed.notify()
        self.start()
        return answer

    def points(self, seconds: float) -> list[HardwarePoint]:
        """The fine points of the last `seconds`, oldest first."""
        since = time.time() - seconds
        with self._changed:
            return [point for point in self._points if point.t_unix >= since]

    def close(self) -> None:
        """End the thread. A second call does nothing."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        for answer in self._questions:
            answer.cancel()

    # --- the watch's thread

    def _run(self) -> None:
        try:
            while self._wait():
                self._sample()
        finally:
            self._machine.close()

    def _wait(self) -> bool:
        """Sleep until a sample is due; False at the end."""
        with self._changed:
            while not self._closing:
                now = time.monotonic()
                watched = now - self._asked < ATTENTION_S
                due = self._kept + self._coarse
                if watched:
                    due = min(due, self._sampled + self._fine)
                elif not self._resting:
                    self._resting = True
                    self._machine.rest()
                if self._questions:
                    # No more than one sample a second, but the first at once.
                    due = min(due, self._sampled + self._fine)
                if now >= due:
                    self._resting = not watched
                    return True
                self._changed.wait(min(due - now, ATTENTION_S) if watched else due - now)
            return False

    def _sample(self) -> None:
        try:
            found = self._machine.read()
        except Exception as error:
            log.exception("The machine could not be read")
            problem = InternalError("The machine cannot be read.", f"{type(error).__name__}: {error}")
            with self._changed:
                self._sampled = self._kept = time.monotonic()
                waiting, self._questions = self._questions, []
            for answer in waiting:
                answer.set_exception(problem)
            return
        point = found.point
        with self._changed:
            self._newest, self._sampled = found, time.monotonic()
            self._points.append(point)
            waiting, self._questions = self._questions, []
            keep = self._sampled - self._kept >= self._coarse
            if keep:
                self._kept = self._sampled
        for answer in waiting:
            if answer.set_running_or_notify_cancel():
                answer.set_result(found)
        if keep:
            self._keep(point)
