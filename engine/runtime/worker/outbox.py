"""The worker's way out: sends without waiting, so that a reader who is busy never stalls a step.

A socket pair holds a few hundred small frames. While it is full, steps pile up here, their text pieces are
merged, and a helper thread sends them as one frame when there is room again.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable

import msgspec

from engine.runtime.wire import FromWorker, Item, Piece, StepFrame, encode

MERGE_ABOVE = 512
"""Waiting items from which on pieces of one stream are merged; before that each keeps its own moment."""


class Outbox:
    """Sends frames over `sock`, in order, from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._changed = threading.Condition()
        self._backlog = bytearray()
        self._held: list[Item] = []
        self._helper: threading.Thread | None = None

    def items(self, items: Iterable[Item]) -> None:
        """Send what a step gave; may wait here and be merged."""
        with self._changed:
            self._held += items
            if self._backlog:
                if len(self._held) > MERGE_ABOVE:
                    self._held = merged(self._held)
            elif self._held:
                self._send(self._take_held())

    def frame(self, frame: FromWorker) -> None:
        """Send `frame` after everything given before it."""
        with self._changed:
            if self._held:
                self._backlog += self._take_held()
            self._send(encode(frame))

    def drained(self, timeout: float) -> bool:
        """Wait until everything is sent; False if that took longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._backlog and not self._held, timeout)

    def _take_held(self) -> bytes:
        held, self._held = self._held, []
        return encode(StepFrame(held))

    def _send(self, data: bytes) -> None:
        if self._backlog:
            self._backlog += data
            return
        sent = self._try(data)
        if sent < len(data):
            self._backlog += data[sent:]
            if self._helper is None:
                self._helper = threading.Thread(target=self._drain, name="outbox", daemon=True)
                self._helper.start()
            self._changed.notify_all()

    def _try(self, data: bytes | memoryview, flags: int = socket.MSG_DONTWAIT) -> int:
        try:
            return self._socket.send(data, flags)
        except BlockingIOError:
            return 0
        except OSError:
            # The engine is gone; the reader thread sees the end of file and ends the process.
            return len(data)

    def _drain(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._backlog))
                # Sent outside the lock, and waiting for room: steps go on adding behind it meanwhile.
                data = bytes(self._backlog[:65536])
            sent = self._try(data, 0)
            with self._changed:
                del self._backlog[:sent]
                if not self._backlog and self._held:
                    self._backlog += self._take_held()
                self._changed.notify_all()


def merged(items: list[Item]) -> list[Item]:
    """`items` with neighbouring pieces of one stream, choice and kind joined; order within a stream stays."""
    result: list[Item] = []
    last: dict[int, int] = {}
    for item in items:
        at = last.get(item.key)
        if at is not None and isinstance(item, Piece):
            before = result[at]
            if (
                isinstance(before, Piece)
                and before.choice == item.choice
                and before.reasoning == item.reasoning
            ):
                result[at] = msgspec.structs.replace(
                    before,
                    t_ns=item.t_ns,
                    text=before.text + item.text,
                    tokens=before.tokens + item.tokens,
                    token_ids=before.token_ids + item.token_ids,
                    logprobs=before.logprobs + item.logprobs,
                )
                continue
        last[item.key] = len(result)
        result.append(item)
    return result
