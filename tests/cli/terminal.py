"""A pseudo-terminal with a program on it; every wait is for bytes that it writes or for its end."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT = 60.0
"""Seconds after which a test gives a silent program up."""


def environment(home: Path, **extra: str) -> dict[str, str]:
    """A clean environment whose Hearth lives in `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
    kept.pop("NO_COLOR", None)
    return {**kept, "HEARTH_HOME": str(home), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **extra}


def hearth(*arguments: str) -> list[str]:
    """The command line of `hearth` by the interpreter of the tests."""
    return [sys.executable, "-P", "-m", "cli.launcher", *arguments]


NUDGE = 0.2
# A shell gives what it starts on a terminal the usual signals; the tests may run in a background job that has none.
TAKE_TERMINAL = """
import fcntl, os, signal, sys, termios
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """The program `argv` in a session of its own, on a terminal of 24 × 80."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> None:
        self.screen = b""
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.attributes_before = self.attributes()
        self._process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *argv],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=dict(environ),
            cwd=cwd,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._ended: int | None = None
        # Python's prompt notices a signal that came just before it waits only with the next one, so while
        # nothing comes after a signal the program is told, again and again, that its window may have changed.
        self._nudged = False

    def attributes(self) -> list[Any]:
        return termios.tcgetattr(self.slave)

    def send(self, data: bytes | str) -> None:
        os.write(self.master, data.encode() if isinstance(data, str) else data)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.send(b"\x03")
        self._nudged = True

    def signal(self, number: int) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)
        self._nudged = True

    def expect(self, wanted: bytes | str) -> bytes:
        """Read until `wanted` has come; everything up to and with it, taken off `screen`."""
        wanted = wanted.encode() if isinstance(wanted, str) else wanted
        deadline = time.monotonic() + LIMIT
        while wanted not in self.screen:
            assert self._read(deadline), f"no {wanted!r} came; only {self.screen!r}"
        head, _, self.screen = self.screen.partition(wanted)
        return head + wanted

    def wait(self) -> int:
        """The exit status (negative: the signal) after the end; what was written before is in `screen`."""
        deadline = time.monotonic() + LIMIT
        while self._ended is None:
            self._read(deadline, quantum=0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._ended = self._process.returncode = os.waitstatus_to_exitcode(status)
        while self._read(deadline, quantum=0.0):
            pass
        return self._ended

    def close(self) -> None:
        if self._ended is None:
            self._process.kill()
            self._process.wait()
        os.close(self.master)
        os.close(self.slave)

    def _read(self, deadline: float, quantum: float | None = None) -> bool:
        left = deadline - time.monotonic()
        assert left > 0, f"nothing more came; so far: {self.screen!r}"
        step = quantum if quantum is not None else NUDGE
        while not select.select([self.master], [], [], step)[0]:
            if self._nudged and self._ended is None:
                os.kill(self.pid, signal.SIGWINCH)
            if quantum is not None or time.monotonic() > deadline:
                return False
        data = os.read(self.master, 65536)
        self.screen += data
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
