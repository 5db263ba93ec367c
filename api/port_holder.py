"""Who listens on a port, as far as this user may know; and the end of a server of theirs that does."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Final

import psutil
from msgspec import Struct

from engine.text_safety import plain

_SAME_START_S: Final = 0.01


class Holder(Struct, frozen=True, kw_only=True):
    """A process that listens. `started` is its start in Unix seconds; `hearth` says it is a server of this user."""

    pid: int
    command: str
    started: float = 0.0
    hearth: bool = False

    @property
    def words(self) -> str:
        """`python -m http.server 8000 (pid 123)`."""
        return f"{plain(self.command, 60)} (pid {self.pid})"


def find(port: int) -> Holder | None:
    """The process that listens on `port`; None where that cannot be found out."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return None
    for each in connections:
        if each.status != psutil.CONN_LISTEN or not each.laddr or each.laddr.port != port or each.pid is None:
            continue
        try:
            process = psutil.Process(each.pid)
            line = process.cmdline()
            return Holder(
                pid=each.pid,
                command=" ".join(line) or process.name(),
                started=process.create_time(),
                hearth=process.uids().real == os.getuid() and _serves(line),
            )
        except psutil.Error:
            return Holder(pid=each.pid, command="a process")
    return None


def end(holder: Holder, patience: float) -> bool:
    """Ask a server of this user to end, and wait; whether it has. A stranger is never signalled."""
    if not holder.hearth:
        return False
    try:
        process = psutil.Process(holder.pid)
        if abs(process.create_time() - holder.started) > _SAME_START_S or not _serves(process.cmdline()):
            return True
        process.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(timeout=patience)
    return not process.is_running()


def _serves(line: list[str]) -> bool:
    """Whether it is `hearth serve`, and not a workstation, whose screen would go with it."""
    return "serve" in line and any(part == "cli.launcher" or part.endswith("/hearth") for part in line)
