"""The server that runs for this user, in the background or in another terminal: found, started, stopped.

Who holds the lock on the state folder is the server, whatever any file says. The notice beside it tells where the
server listens and which process it is, by id and start time, so that a stranger who got that id later is never
signalled.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import psutil
from msgspec import Struct

from engine.errors import HearthError, StorageFailed
from engine.paths import Paths, ensure

START_S: Final = 30.0
LOG_LIMIT: Final = 5 * 2**20
"""Bytes after which the log of the last runs is set aside."""
_SAME_START_S: Final = 1.0
_STEP_S: Final = 0.05


class AlreadyRunning(HearthError):
    code = "already_running"


class StartFailed(HearthError):
    code = "start_failed"


class Notice(Struct, frozen=True, kw_only=True):
    """What a running server says of itself. `started` is the process's start in Unix seconds."""

    pid: int
    started: float
    host: str
    port: int
    url: str


def notice_file(paths: Paths) -> Path:
    """Where a running server says who and where it is."""
    return paths.runtime / "server.json"


def log_file(paths: Paths) -> Path:
    """The log of servers behind a terminal."""
    return paths.logs / "server.log"


@contextlib.contextmanager
def owning(paths: Paths) -> Iterator[None]:
    """Hold the state folder. Raises AlreadyRunning naming who has it, StorageFailed."""
    ensure(paths.state)
    try:
        lock = os.open(paths.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StorageFailed(f"{paths.lock_file} cannot be opened.", f"{error.strerror}.") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            there = noticed(paths)
            raise AlreadyRunning(
                "A server of yours runs already.",
                f"It listens on {there.url} (pid {there.pid})." if there else "It holds the state folder.",
                "Use it, or end it with: hearth stop",
            ) from None
        yield
    finally:
        os.close(lock)


def write_notice(paths: Paths, host: str, port: int, url: str) -> None:
    """Say where this process listens."""
    me = psutil.Process()
    notice = Notice(pid=me.pid, started=me.create_time(), host=host, port=port, url=url)
    file = notice_file(paths)
    ensure(file.parent)
    beside = file.with_name(f".{file.name}.{me.pid}")
    beside.write_bytes(msgspec.json.encode(notice))
    beside.replace(file)


def remove_notice(paths: Paths) -> None:
    """Take the notice of this process away."""
    there = _read(paths)
    if there is not None and there.pid == os.getpid():
        notice_file(paths).unlink(missing_ok=True)


def noticed(paths: Paths) -> Notice | None:
    """The notice of a server that runs; None where there is none, or its process is gone or another one."""
    there = _read(paths)
    return there if there is not None and process_of(there) is not None else None


def process_of(notice: Notice) -> psutil.Process | None:
    """The very process of `notice`; None if it has ended, its id used again or not."""
    try:
        process = psutil.Process(notice.pid)
        same = abs(process.create_time() - notice.started) < _SAME_START_S
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def held(paths: Paths) -> bool:
    """Whether a server holds the state folder."""
    try:
        lock = os.open(paths.lock_file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def running(paths: Paths) -> Notice | None:
    """The server that runs and listens, if any."""
    return noticed(paths) if held(paths) else None


def start(paths: Paths, arguments: Sequence[str]) -> Notice:
    """Start `hearth serve` with `arguments` behind the back of this terminal, and wait until it answers.

    Raises AlreadyRunning, StartFailed with the last words of its log.
    """
    there = running(paths)
    if there is not None:
        raise AlreadyRunning(
            "A server of yours runs already.",
            f"It listens on {there.url} (pid {there.pid}).",
            "hearth stop ends it.",
        )
    ensure(paths.logs)
    log = log_file(paths)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    before = log.stat().st_size if log.exists() else 0
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "cli.launcher", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd=paths.state,
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        there = noticed(paths)
        if there is not None and there.pid == child.pid and health(there) is not None:
            return there
        if child.poll() is not None:
            break
        time.sleep(_STEP_S)
    else:
        child.terminate()
    with log.open("rb") as written:
        written.seek(before)
        last = written.read()[-2000:].decode("utf-8", "replace").strip()
    raise StartFailed(
        "The server did not start." if child.poll() is not None else "The server does not answer.",
        last or f"It ended with the status {child.returncode}.",
        f"Its log is {log}.",
    )


def stop(paths: Paths, *, force: bool, patience: float) -> bool:
    """Ask the server to end and wait for it, `patience` seconds; then, with `force`, kill it. Whether there was one.

    Raises StartFailed if it will not end.
    """
    there = running(paths)
    process = process_of(there) if there is not None else None
    if there is None or process is None:
        return False
    with contextlib.suppress(psutil.Error):
        process.send_signal(signal.SIGTERM)
    if _wait(process, patience):
        return True
    if force:
        with contextlib.suppress(psutil.Error):
            process.kill()
        if _wait(process, patience):
            notice_file(paths).unlink(missing_ok=True)
            return True
    raise StartFailed(
        f"The server (pid {there.pid}) does not end.",
        "It may be in the middle of an answer.",
        "hearth stop --force",
    )


def health(notice: Notice) -> dict[str, object] | None:
    """What `GET /health` of a running server says; None if it does not answer."""
    import http.client

    host = "127.0.0.1" if notice.host in ("0.0.0.0", "::", "", "localhost") else notice.host
    try:
        connection = http.client.HTTPConnection(host, notice.port, timeout=2)
        try:
            connection.request("GET", "/health", headers={"accept": "application/json"})
            body = connection.getresponse().read()
        finally:
            connection.close()
        found: dict[str, object] = msgspec.json.decode(body, type=dict[str, object])
    except (OSError, http.client.HTTPException, msgspec.MsgspecError):
        return None
    return found


def _wait(process: psutil.Process, seconds: float) -> bool:
    try:
        process.wait(timeout=seconds)
    except psutil.TimeoutExpired:
        return False
    except psutil.Error:
        return True
    return True


def _read(paths: Paths) -> Notice | None:
    try:
        return msgspec.json.decode(notice_file(paths).read_bytes(), type=Notice)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
