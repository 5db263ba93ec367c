"""Runs pip and shows where it is: one line that moves on a terminal, a line now and then elsewhere.

pip's whole output goes to a log file; a failure shows the end of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

LARGE_MEGABYTES = 50.0
"""A single download from this size on is announced in a line that stays."""

_COMPILE = re.compile(r"^\s*\[(\d+)/(\d+)\]")
_DOWNLOAD = re.compile(r"^\s*Downloading (\S+) \(([\d.]+) ([kMG]?B)\)")
_STAGES = (
    (re.compile(r"^\s*Installing build dependencies"), "fetching build tools"),
    (re.compile(r"^\s*Building wheel for (\S+)"), "building {0}"),
    (re.compile(r"^\s*Building editable for (\S+)"), "linking {0}"),
    (re.compile(r"^\s*Installing collected packages"), "writing packages"),
    (re.compile(r"^\s*(?:Collecting|Processing) (\S+)"), "collecting {0}"),
)


class StepFailed(Exception):
    """A program of the set-up ended with an error; `tail` holds the end of its output."""

    def __init__(self, title: str, status: int, tail: list[str], log: Path) -> None:
        super().__init__(f"{title} failed with status {status}")
        self.title, self.status, self.tail, self.log = title, status, tail, log


def describe(line: str) -> str | None:
    """What a line of pip's output says about progress, or None."""
    if compiled := _COMPILE.match(line):
        done, total = int(compiled[1]), int(compiled[2])
        return f"compiling {done} of {total} ({100 * done // max(total, 1)} %)"
    if download := _DOWNLOAD.match(line):
        return f"downloading {_short(download[1])} ({download[2]} {download[3]})"
    for pattern, text in _STAGES:
        if match := pattern.match(line):
            return text.format(*(_short(group) for group in match.groups()))
    return None


def is_large_download(line: str) -> bool:
    """Whether the line announces a file of `LARGE_MEGABYTES` or more."""
    if not (download := _DOWNLOAD.match(line)):
        return False
    factor = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}[download[3]]
    return float(download[2]) * factor >= LARGE_MEGABYTES


def run_step(title: str, command: Sequence[str], log: Path, env: Mapping[str, str]) -> float:
    """Run `command` to its end under a progress line and return the seconds it took.

    Raises `StepFailed` when it ends with an error. The child is ended when the caller is interrupted.
    """
    started = time.monotonic()
    tail: deque[str] = deque(maxlen=40)
    with (
        log.open("a", encoding="utf-8") as record,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(env),
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
        ProgressLine(title, sys.stderr) as progress,
    ):
        record.write(f"\n== {title}: {' '.join(command)}\n")
        assert process.stdout is not None
        try:
            for line in process.stdout:
                record.write(line)
                if line.strip():
                    tail.append(line.rstrip())
                if is_large_download(line):
                    progress.keep(describe(line) or "")
                elif state := describe(line):
                    progress.state = state
        except BaseException:
            process.terminate()
            raise
        if status := process.wait():
            raise StepFailed(title, status, list(tail), log)
    return time.monotonic() - started


class ProgressLine:
    """A title, the elapsed time and the present state, redrawn twice a second or logged every 15 s."""

    def __init__(self, title: str, stream: TextIO) -> None:
        self.state = ""
        self._title, self._stream, self._started = title, stream, time.monotonic()
        self._live = stream.isatty()
        self._interval = 0.5 if self._live else 15.0
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> ProgressLine:
        self._draw()
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.state = "failed" if kind else "done"
        self._draw(last=True)

    def keep(self, text: str) -> None:
        """Write a line that stays above the moving one."""
        with self._writing:
            self._stream.write(f"{self._erase()}  {text}\n")
            self._stream.flush()

    def _tick(self) -> None:
        while not self._ended.wait(self._interval):
            self._draw()

    def _erase(self) -> str:
        return "\r\x1b[2K" if self._live else ""

    def _draw(self, last: bool = False) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        line = f"  {self._title}  {minutes}:{seconds:02d}  {self.state}".rstrip()[:100]
        with self._writing:
            self._stream.write(f"{self._erase()}{line}{chr(10) if last or not self._live else ''}")
            self._stream.flush()


def _short(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1][:48]
