"""The process side: one model, one socket to the engine, and no life without it.

Started by `host` as `python -P -m engine.runtime.worker <fd> <parent pid>`. The main thread loads the model
and runs it. A reader thread takes frames from the socket; at its end of file the process exits at once,
whatever the main thread is doing. Descriptors 0, 1 and 2 belong to native libraries: frames travel elsewhere.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import cast

from msgspec.structs import replace

from engine.errors import HearthError, ModelLoadFailed
from engine.library.pools import joined_needs
from engine.runtime.backends import opener, reading_opener
from engine.runtime.backends.base import Progress, StepBackend
from engine.runtime.wire import (
    PROTOCOL,
    CacheSpec,
    Cancel,
    Count,
    Detokenize,
    Embed,
    Forget,
    Hello,
    Load,
    LoadFailed,
    LoadProgress,
    LogLines,
    Probe,
    Probed,
    Ready,
    Render,
    Rerank,
    Resized,
    Shrink,
    Stop,
    Submit,
    Tokenize,
    ToWorker,
    worker_side,
)
from engine.runtime.worker.cache import PrefixCache
from engine.runtime.worker.draft_fit import check_draft
from engine.runtime.worker.draft_model import DraftModel
from engine.runtime.worker.kvstore import KvStore
from engine.runtime.worker.outbox import Outbox
from engine.runtime.worker.reader import ReaderRunner
from engine.runtime.worker.runner import Runner, StepRunner
from engine.types import MemoryUse, ModelFacts

_PR_SET_PDEATHSIG = 1
NICE = 5
"""By how much a worker beside a screen lowers its priority."""
_STACK = 16 << 20
"""Bytes of stack of each thread: compiling the deepest grammars that are let through takes most of eight."""
_LAST_WORDS = 2.0
"""Seconds to get the reason of a failed load out."""


def main(arguments: list[str]) -> None:
    """Serve the engine at the other end of descriptor `arguments[0]`, whose process is `arguments[1]`."""
    _die_with(int(arguments[1]))
    # Ctrl-C in the terminal is meant for the app, which ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.stack_size(_STACK)
    sock = socket.socket(fileno=int(arguments[0]))
    sock.set_inheritable(False)
    Worker(sock).run()


def _make_way(order: Load) -> None:
    """Beside a screen, let its redraws go first. Threads made later inherit it.

    Only a worker that waits passively: spinning threads of low priority starve one another beside any other program.
    """
    if order.spec.screen_attached and os.environ.get("OMP_WAIT_POLICY") == "passive":
        os.nice(NICE)


def _without_torch(order: Load | Probe) -> None:
    """Hide PyTorch where no backend uses it: mlx-lm has transformers import it, for half the time of a load."""
    draft = order.draft if isinstance(order, Load) else None
    if "transformers" not in (order.backend, draft and draft.backend):
        sys.modules["torch"] = cast(ModuleType, None)
        # That there is no PyTorch is no news for a log.
        os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"


class Worker:
    """Loads what it is told to and connects the runner with the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._outbox = Outbox(sock)
        self._load = threading.Event()
        self._order: Load | Probe | None = None
        self._stopped = threading.Event()
        self._runner: Runner | None = None

    def run(self) -> None:
        """Until the engine says stop; the process should end after it."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        self._outbox.frame(Hello(PROTOCOL, os.getpid()))
        self._load.wait()
        order = self._order
        if order is None:
            return
        _without_torch(order)
        if isinstance(order, Probe):
            self._probe(order)
            return
        _make_way(order)
        try:
            backend = self._open(order)
            draft = self._open_draft(order, backend)
            # Here, and whole: threads that import parts of one package at once may end in a deadlock of Python's.
            importlib.import_module("engine.prompt.answer")
            if backend.media is not None:
                importlib.import_module("engine.media.picture").prepare()
        except InterruptedError:
            return
        except HearthError as error:
            self._last_words(LoadFailed(error.info))
            return
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            self._last_words(LoadFailed(ModelLoadFailed("The model could not be loaded.", reason).info))
            return
        runner: Runner
        if order.reading:
            runner = ReaderRunner(backend, self._outbox.items, self._outbox.frame)
        else:
            runner = StepRunner(
                backend,
                order.limits,
                self._outbox.items,
                self._outbox.frame,
                cache=self._cache(backend, order.cache),
                draft=draft,
                resized=lambda: self._outbox.frame(Resized(_held(backend, draft))),
            )
        self._runner = runner
        if self._stopped.is_set():
            runner.stop()
        self._outbox.frame(Ready(_with_manners(backend.facts), _held(backend, draft)))
        runner.run()
        if draft is not None:
            draft.close()
        backend.close()

    def _cache(self, backend: StepBackend, spec: CacheSpec) -> PrefixCache:
        store = None
        if spec.enabled and spec.folder is not None and backend.facts.capabilities.save:

            def wake() -> None:
                if self._runner is not None:
                    self._runner.poke()

            store = KvStore(
                Path(spec.folder),
                spec.limit,
                lambda: backend.identity,
                wake,
                lambda text: self._log("warning", text),
            )
        return PrefixCache(backend, store, enabled=spec.enabled)

    def _open(self, order: Load) -> StepBackend:
        if order.reading:
            return reading_opener(order.backend, self._log)(order.spec)
        return opener(order.backend, self._log)(order.spec, self._progress())

    def _open_draft(self, order: Load, main: StepBackend) -> DraftModel | None:
        """The draft model of an order that has one. Raises what opening it raises, Unsupported if it does not fit."""
        if order.draft is None or order.reading:
            return None
        tell = self._progress()
        name = order.draft.spec.model
        try:
            opened = opener(order.draft.backend, self._log)(
                order.draft.spec, lambda stage, fraction: tell("draft", fraction)
            )
            check_draft(opened, main, name)
        except HearthError as error:
            raise HearthError.from_info(replace(error.info, param="draft_model")) from error
        return DraftModel(
            opened,
            order.limits,
            main.facts.vocabulary,
            lambda text: self._log("warning", text),
            caches=order.cache.enabled,
        )

    def _progress(self) -> Progress:
        told: tuple[str, int | None] | None = None
        told_at = 0.0

        def progress(stage: str, fraction: float | None) -> bool:
            # Native loaders report thousands of times; nobody sees more than 50 whole percents a second.
            nonlocal told, told_at
            news = (stage, None if fraction is None else int(fraction * 100))
            now = time.monotonic()
            if news != told and (told is None or stage != told[0] or fraction == 1.0 or now - told_at > 0.02):
                told, told_at = news, now
                self._outbox.frame(LoadProgress(stage, fraction))
            return not self._stopped.is_set()

        return progress

    def _log(self, level: str, text: str) -> None:
        self._outbox.frame(LogLines([(level, text)]))

    def _probe(self, order: Probe) -> None:
        from engine.runtime.worker.probe import probed

        def tell(stage: str) -> None:
            self._outbox.frame(LoadProgress(stage, None))
            # What kills this process may come at once: the engine shall know what it was doing.
            self._outbox.drained(_LAST_WORDS)

        try:
            self._last_words(probed(order, tell))
        except HearthError as error:
            self._last_words(LoadFailed(error.info))
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            self._last_words(LoadFailed(ModelLoadFailed("The model file could not be tried.", reason).info))

    def _read(self) -> None:
        frames = worker_side()
        try:
            while data := self._socket.recv(1 << 16):
                for frame in frames.feed(data):
                    self._receive(frame)
        except Exception:
            traceback.print_exc()
        # The engine is gone. The main thread may be deep inside native code: no clean end is possible.
        os._exit(0)

    def _receive(self, frame: ToWorker) -> None:
        if isinstance(frame, Load | Probe):
            self._order = frame
            self._load.set()
            return
        if isinstance(frame, Stop):
            self._stopped.set()
            self._load.set()
        runner = self._runner
        if runner is None:
            return
        match frame:
            case Submit():
                runner.submit(frame)
            case Cancel():
                runner.cancel(frame.key)
            case Tokenize() | Detokenize() | Render() | Count() | Embed() | Rerank():
                runner.ask(frame)
            case Forget():
                runner.forget(frame.call)
            case Shrink():
                runner.shrink()
            case Stop():
                runner.stop()

    def _last_words(self, frame: LoadFailed | Probed) -> None:
        self._outbox.frame(frame)
        self._outbox.drained(_LAST_WORDS)


def _with_manners(facts: ModelFacts) -> ModelFacts:
    """`facts` with what the model's template says of tools and thinking; a template that is broken says nothing."""
    from engine.prompt import for_model, format_of, thinking_of

    source = facts.chat_template
    try:
        template = for_model(source)
        return replace(facts, tool_format=format_of(source).name, thinking=thinking_of(template))
    except HearthError:
        return facts


def _held(main: StepBackend, draft: DraftModel | None) -> MemoryUse:
    """What the models of this process hold together."""
    use = main.memory()
    if draft is not None:
        other = draft.memory()
        use = replace(
            use,
            weights=use.weights + other.weights,
            kv_cache=use.kv_cache + other.kv_cache,
            compute=use.compute + other.compute,
            devices=joined_needs(use.devices, other.devices),
        )
    return _with_resident(use)


def _with_resident(use: MemoryUse) -> MemoryUse:
    """`use` with the resident set of this process, where the backend did not measure it."""
    if use.resident:
        return use
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return replace(use, resident=peak * unit)


def _die_with(parent: int) -> None:
    """Have the kernel end this process with its parent (Linux); exit if the parent is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
