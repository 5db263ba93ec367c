"""A worker that holds nothing and does as it is told, for tests of the engine's side: `python -m … <fd> <parent>`.

Its model is `scripted:weights=…,cache=…`. It gives its KV cache up on `Shrink`, makes it anew with the next request and
tells both, as a real worker does. A name with `stubborn` in its text keeps its cache, `slow` takes half a second to
give it up, `deaf` does not even answer, `mortal` dies as soon as it is loaded.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from engine.errors import Unsupported
from engine.runtime.backends.script import Script, parse
from engine.runtime.wire import (
    PROTOCOL,
    Cancel,
    Embed,
    FromWorker,
    Hello,
    Load,
    Notice,
    Piece,
    Ready,
    Reply,
    Resized,
    Shrink,
    StepFrame,
    Stop,
    Submit,
    ToWorker,
    encode,
    worker_side,
)
from engine.types import Admitted, Capabilities, Done, Finished, MemoryUse, ModelFacts, Usage


class StandIn:
    """One connection to an engine."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._script = Script()
        self._shrunk = False

    def run(self) -> None:
        frames = worker_side()
        self._send(Hello(PROTOCOL, 1))
        while data := self._socket.recv(1 << 16):
            for frame in frames.feed(data):
                if isinstance(frame, Stop):
                    return
                self._take(frame)

    def _take(self, frame: ToWorker) -> None:
        match frame:
            case Load():
                self._script = parse(frame.spec.path)
                facts = ModelFacts(
                    name=frame.spec.model,
                    context=8192,
                    capabilities=Capabilities(backend="scripted", max_slots=4),
                )
                self._send(Ready(facts, self._memory()))
                if self._script.text == "mortal":
                    os._exit(3)
            case Shrink():
                words = (self._script.text or "").split()
                time.sleep(0.5 if "slow" in words else 0.0)
                if "deaf" not in words:
                    self._shrunk = "stubborn" not in words
                    self._send(Resized(self._memory()))
            case Embed():
                self._grow()
                self._send(Reply(frame.call, error=Unsupported("A stand-in has no vectors.").info))
            case Submit():
                self._grow()
                now = time.monotonic_ns()
                self._send(
                    StepFrame(
                        [
                            Notice(frame.key, Admitted(t_ns=now, prompt_tokens=1, context=8192)),
                            Piece(frame.key, now, 0, False, self._script.text or "", 1),
                            Notice(frame.key, Finished(t_ns=now, reason="stop")),
                            Notice(
                                frame.key, Done(t_ns=now, reason="finished", usage=Usage(prompt_tokens=1))
                            ),
                        ]
                    )
                )
            case Cancel():
                pass

    def _grow(self) -> None:
        if self._shrunk:
            self._shrunk = False
            self._send(Resized(self._memory()))

    def _memory(self) -> MemoryUse:
        return MemoryUse(weights=self._script.weights, kv_cache=0 if self._shrunk else self._script.cache)

    def _send(self, frame: FromWorker) -> None:
        self._socket.sendall(encode(frame))


if __name__ == "__main__":
    StandIn(socket.socket(fileno=int(sys.argv[1]))).run()
