"""The engine's side of one worker process: start it, talk to it, notice its death, leave nothing behind.

Lives on one asyncio loop. The loop's thread must outlive the worker: the kernel ends a worker whose spawning
thread has ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import site
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from engine.errors import ErrorInfo, HearthError, ModelLoadFailed, WorkerDied
from engine.runtime.logring import LineSplitter, LogRing
from engine.runtime.wire import (
    PROTOCOL,
    FromWorker,
    Hello,
    Item,
    Load,
    LoadFailed,
    LoadProgress,
    LogLines,
    Probe,
    Probed,
    Ready,
    Reply,
    Resized,
    StepFrame,
    Stop,
    ToWorker,
    WireError,
    encode,
    engine_side,
)
from engine.types import MemoryUse

WORKER = "engine.runtime.worker"
"""The module that a worker runs."""
STOP_GRACE = 3.0
"""Seconds from `Stop` to SIGKILL."""
CAUSE_WAIT = 0.3
"""Seconds between the end of the socket and telling the streams: the exit status may take longer to come,
since the kernel gives memory back first, and nobody should wait for that."""
_LAST_LINES = 4


class Effort(Struct, frozen=True):
    """Processor time of all threads in seconds, and bytes fetched from disks."""

    seconds: float
    bytes_read: int


class Host:
    """One worker process. `on_items`, `on_progress` and their like are called on the loop.

    `on_death` comes once, unless the worker was stopped on purpose, with the error that its streams shall end
    in. `gone` is set when the process has been waited for and its memory is free.
    """

    def __init__(
        self,
        name: str,
        log: LogRing,
        *,
        on_items: Callable[[list[Item]], None],
        on_progress: Callable[[LoadProgress], None],
        on_reply: Callable[[Reply], None],
        on_death: Callable[[WorkerDied], None],
        on_resized: Callable[[MemoryUse], None] = lambda memory: None,
    ) -> None:
        self.name = name
        self.pid: int | None = None
        self.gone = asyncio.Event()
        self.log = log
        self._on_items, self._on_progress = on_items, on_progress
        self._on_reply, self._on_death, self._on_resized = on_reply, on_death, on_resized
        self._ready: asyncio.Future[Ready | Probed] = asyncio.get_running_loop().create_future()
        self._link: asyncio.Transport | None = None
        self._process: asyncio.SubprocessTransport | None = None
        self._spawning = False
        self._stopping = asyncio.Event()
        self.refused: ErrorInfo | None = None
        """What the worker itself said against a load or a trial."""
        self._ending: asyncio.Task[None] | None = None

    async def start(self, load: Load, *, passive: bool) -> Ready:
        """Spawn the worker and load a model; `passive` lets waiting threads of native libraries sleep.

        Raises ModelLoadFailed or what the backend raised; then the worker is gone or going.
        """
        ready = await self._begin(load, passive=passive)
        assert isinstance(ready, Ready)
        return ready

    async def probe(self, probe: Probe) -> Probed:
        """Spawn the worker and have it try a file, after which it ends. Raises as `start` does."""
        probed = await self._begin(probe, passive=True)
        assert isinstance(probed, Probed)
        return probed

    async def _begin(self, order: Load | Probe, *, passive: bool) -> Ready | Probed:
        if self._stopping.is_set():
            self.gone.set()
            raise ModelLoadFailed("The load was stopped.")
        loop = asyncio.get_running_loop()
        self._spawning = True
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            process, _ = await loop.subprocess_exec(
                lambda: _Process(self),
                sys.executable,
                "-P",
                "-m",
                WORKER,
                str(theirs.fileno()),
                str(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                env=environment(os.environ, passive=passive),
                # Away from the terminal's process group: its signals are the app's.
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            self.gone.set()
            raise ModelLoadFailed("No process could be started for the model.", str(error)) from None
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            self._spawning = False
        self._process = process
        self.pid = process.get_pid()
        if self._stopping.is_set():
            process.kill()
        link, _ = await loop.create_unix_connection(lambda: _Link(self), sock=ours)
        self._link = link
        self.send(order)
        return await self._ready

    def send(self, frame: ToWorker) -> None:
        """Send without waiting; after the worker's death it goes nowhere."""
        if self._link is not None and not self._link.is_closing():
            self._link.write(encode(frame))

    def kill(self) -> None:
        """End the worker now; its streams end as after any other death."""
        if self._process is not None and self._process.get_returncode() is None:
            self._process.kill()

    def resident(self) -> int:
        """Resident set of the worker, bytes; 0 if it is gone."""
        import psutil

        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def processor_seconds(self) -> float:
        """Processor time that the worker has used, all threads together; 0 if it is gone."""
        return self.effort().seconds

    def effort(self) -> Effort:
        """What the worker has done so far; nothing if it is gone."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            times = process.cpu_times()
            # Not every system counts what a process reads.
            read = process.io_counters().read_bytes if hasattr(process, "io_counters") else 0
        except psutil.Error:
            return Effort(0.0, 0)
        return Effort(times.user + times.system, read)

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Ask the worker to end, make it after `grace` seconds, and wait until it is gone."""
        self._stopping.set()
        if not self._ready.done():
            self._ready.set_exception(ModelLoadFailed("The load was stopped."))
            self._ready.exception()
        if self._process is None and not self._spawning:
            self.gone.set()
        self.send(Stop())
        try:
            async with asyncio.timeout(grace):
                await self.gone.wait()
        except TimeoutError:
            self.kill()
            await self.gone.wait()
        if self._link is not None:
            self._link.close()
        if self._ending is not None:
            await self._ending

    # --- what the transports tell

    def _received(self, frame: FromWorker) -> None:
        match frame:
            case StepFrame():
                self._on_items(frame.items)
            case Reply():
                self._on_reply(frame)
            case LogLines():
                for level, text in frame.lines:
                    self.log.add(level, self.name, text)
            case LoadProgress():
                self._on_progress(frame)
            case Ready():
                if not self._ready.done():
                    self._ready.set_result(frame)
            case Probed():
                # Its work is done: that it ends now is no death.
                self._stopping.set()
                if not self._ready.done():
                    self._ready.set_result(frame)
            case Resized():
                self._on_resized(frame.memory)
            case LoadFailed():
                self.refused = frame.error
                self._fail_load(HearthError.from_info(frame.error))
            case Hello():
                if frame.protocol != PROTOCOL:
                    reason = f"It speaks protocol {frame.protocol}, the engine {PROTOCOL}."
                    self._fail_load(ModelLoadFailed("The worker is of another version of Hearth.", reason))
                    self.kill()

    def _fail_load(self, error: HearthError) -> None:
        if not self._ready.done():
            self._stopping.set()
            self._ready.set_exception(error)

    def _link_lost(self) -> None:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end())

    async def _end(self) -> None:
        """The socket is at its end: find the cause, tell it, and see the process gone."""
        try:
            async with asyncio.timeout(CAUSE_WAIT):
                await self.gone.wait()
        except TimeoutError:
            self.kill()
        if not self._stopping.is_set():
            if self._ready.done():
                self._on_death(self._death())
            else:
                death = self._death()
                what = f"The worker of {self.name} died while it loaded the model."
                self._ready.set_exception(LoadDied(what, death.why, death.fix, code=self.exit_code))
        await self.gone.wait()

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None while it runs or before its end is known. Negative: by that signal."""
        return self._process.get_returncode() if self._process is not None else None

    def _death(self) -> WorkerDied:
        code = self.exit_code
        lines = [line.text for line in self.log.last(_LAST_LINES, self.name)]
        why = cause(code) + (f" Its last words: {' / '.join(lines)}" if lines else "")
        fix = "Send the request again: the model is loaded anew. If it happens again, try other load options."
        if code == -signal.SIGKILL:
            fix = (
                "If memory ran out, choose a smaller model or context. The next request loads the model anew."
            )
        return WorkerDied(f"The process of {self.name} died.", why, fix)


class LoadDied(ModelLoadFailed):
    """A load that ended with the death of its worker, which counts towards quarantine. `code` as in `exit_code`."""

    def __init__(self, what: str, why: str = "", fix: str = "", *, code: int | None = None) -> None:
        super().__init__(what, why, fix, param="model")
        self.exit_code = code


class _Link(asyncio.Protocol):
    """The engine's end of the socket pair."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._frames = engine_side()

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._host._received(frame)
        except WireError as error:
            self._host.log.add("error", self._host.name, f"the worker sent no frame: {error}")
            self._host.kill()

    def connection_lost(self, exc: Exception | None) -> None:
        self._host._link_lost()


class _Process(asyncio.SubprocessProtocol):
    """Drains what native code writes on descriptors 1 and 2, and hears of the exit."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lines = LineSplitter()
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._log(self._lines.feed(data))

    def connection_lost(self, exc: Exception | None) -> None:
        # Exited and waited for, and its pipe is read to the end.
        self._log(self._lines.flush())
        if self._transport is not None:
            self._transport.close()
        self._host.gone.set()

    def _log(self, lines: list[str]) -> None:
        for line in lines:
            self._host.log.add("info", self._host.name, line)


def environment(environ: os._Environ[str] | dict[str, str], *, passive: bool) -> dict[str, str]:
    """The worker's environment: the engine's own code is found first, the current folder never is."""
    result = dict(environ)
    root = str(Path(__file__).resolve().parents[2])
    paths = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(path)]
    if root not in site.getsitepackages():
        paths.insert(0, root)
    result.pop("PYTHONPATH", None)
    if paths:
        result["PYTHONPATH"] = os.pathsep.join(paths)
    # A failed assertion would start a debugger on the user's screen.
    result["GGML_NO_BACKTRACE"] = "1"
    result.setdefault("TOKENIZERS_PARALLELISM", "false")
    # CUDA numbers GPUs by their speed unless told to do it as their driver does.
    result.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if passive:
        result["OMP_WAIT_POLICY"] = "passive"
        # Threads that sleep at every barrier at once lose a fifth of the speed of an idle machine to being woken;
        # those that spin for long lose as much beside another program.
        result.setdefault("GOMP_SPINCOUNT", "300")
    return result


def cause(code: int | None) -> str:
    """An exit status in words; None: the process has not been waited for yet."""
    if code is None:
        return "Its connection broke."
    if code >= 0:
        return f"It exited with status {code}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hints = {
        "SIGKILL": "somebody killed it, or the system did because memory ran out",
        "SIGABRT": "a check inside the native library failed",
        "SIGSEGV": "the native library touched memory that is not its own",
        "SIGBUS": "the model file changed or was cut while it was in use",
        "SIGILL": "the library was compiled for another processor",
        "SIGPROF": "it computed for longer than it may",
    }
    hint = hints.get(name)
    return f"It was ended by {name}{f': {hint}' if hint else ''}."
