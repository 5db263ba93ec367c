"""`hearth` to its first painted frame against a bare Textual app with one widget, and what it weighs without a model.

Both run as whole processes on a pseudo-terminal of 120×40. The frame counts as painted when the terminal has been sent
a word that only the first frame holds; the clock starts before the process does. Pairs in turns; the figure is the
median of the pairs' ratios, A/A the same measurement of the bare app against itself. Memory is the resident set of
the launcher and the app together, settled after the engine has started and with no model loaded.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.figure import state

RATIO_LIMIT = 1.5
MEMORY_LIMIT_MB = 150
SETTLE_S = 3.0
PATIENCE_S = 60.0
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("painted-by-the-bare-app")
Bare().run()
"""


class OnTerminal:
    """A program on a pseudo-terminal of its own, killed with its family on exit from the context."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.began = time.perf_counter()
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def __enter__(self) -> OnTerminal:
        return self

    def __exit__(self, *exception: object) -> None:
        family = self.family()
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.send_signal(signal.SIGKILL)
        os.close(self.terminal)
        os.waitpid(self.process, 0)

    def family(self) -> list[psutil.Process]:
        """The program and what it started."""
        root = psutil.Process(self.process)
        return [root, *root.children(recursive=True)]

    def seconds_until(self, word: bytes) -> float:
        """Seconds from the start until `word` was written; raises TimeoutError."""
        written = b""
        while word not in written:
            written += self.read(PATIENCE_S)
        return time.perf_counter() - self.began

    def read(self, patience: float) -> bytes:
        """What the program writes next."""
        ready, _, _ = select.select([self.terminal], [], [], patience)
        if not ready:
            raise TimeoutError("nothing was painted")
        try:
            return os.read(self.terminal, 1 << 16)
        except OSError:
            raise TimeoutError("the program ended before its first frame") from None

    def settle(self, seconds: float) -> None:
        """Keep reading for that long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with suppress(TimeoutError):
                self.read(left)

    def resident_mb(self) -> float:
        """The resident set of the family in megabytes (10^6 bytes)."""
        return sum(member.memory_info().rss for member in self.family()) / 1e6


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a figure is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_frame", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="7 pairs instead of 15")
    pairs = 7 if parser.parse_args(argv).quick else 15
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        environment = {
            **os.environ,
            "HEARTH_HOME": str(Path(folder) / "home"),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }
        environment.pop("NO_COLOR", None)
        ours = ([sys.executable, "-P", "-m", "cli.launcher"], b"Hearth")
        theirs = ([sys.executable, "-P", str(bare)], b"painted-by-the-bare-app")

        def seconds(program: tuple[list[str], bytes]) -> float:
            with OnTerminal(program[0], environment) as running:
                return running.seconds_until(program[1])

        seconds(ours), seconds(theirs)  # compiled files and the page cache
        times = [(seconds(ours), seconds(theirs), seconds(theirs)) for _ in range(pairs)]
        with OnTerminal(ours[0], environment) as running:
            running.seconds_until(ours[1])
            running.settle(SETTLE_S)
            memory = running.resident_mb()
    ratio = statistics.median(mine / bare for mine, bare, _ in times)
    band = statistics.median(again / bare for _, bare, again in times)
    milliseconds = statistics.median(mine for mine, _, _ in times) * 1000
    figure = f"{ratio:.2f} × bare Textual (A/A {band:.2f}), {milliseconds:.0f} ms"
    holds = state("first frame", figure, f"<= {RATIO_LIMIT}", holds=ratio <= RATIO_LIMIT)
    light = state(
        "memory without a model", f"{memory:.0f} MB", f"< {MEMORY_LIMIT_MB}", holds=memory < MEMORY_LIMIT_MB
    )
    return int(not (holds and light))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
