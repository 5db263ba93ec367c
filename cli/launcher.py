"""The console script `hearth`: runs the full-screen app as a child and restores the terminal after any death.

A killed or crashed app cannot restore its terminal, so this small parent waits for it and does. Every other
command runs in this very process through `cli.main`. Imports of the standard library only, and few of those:
what this module costs comes before the first frame.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

# Kitty's key stack belongs to the alternate screen, so it is popped before leaving that. DECSC before 1049l
# makes leaving harmless for an app that had not entered: the cursor is restored to where it is.
RESTORE = (
    b"\x1b[<u\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?2004l\x1b[?1004l\x1b[?2048l"
    b"\x1b[?2026l\x1b7\x1b[?1049l\x1b[?7h\x1b[?25h\x1b[0m"
)
PUSH_TITLE, POP_TITLE = b"\x1b[22;0t", b"\x1b[23;0t"
WITH_VALUES = ("--config", "--log-level", "--connect", "--key-file")
"""The global options of the workstation that take a value."""
GRACE_SECONDS = 5.0
"""How long the app may take to leave after a signal that ends it was passed on; then it is killed."""


def main() -> None:
    """Entry point of the console script."""
    options = workstation_options(sys.argv[1:])
    on_terminal = (
        sys.stdin is not None and sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty()
    )
    if options is not None and on_terminal and "_HEARTH_COMPLETE" not in os.environ:
        # The app holds the read end and leaves when it closes, which is when this process is gone.
        alive, _held = os.pipe()
        os.set_inheritable(alive, True)
        sys.exit(run_child([sys.executable, "-P", "-m", "cli.app", str(alive), *options]))
    from cli.main import run

    sys.exit(run(sys.argv[1:]))


def workstation_options(arguments: Sequence[str]) -> list[str] | None:
    """The global options in `arguments` as `--name=value`; None if there is anything else."""
    found: list[str] = []
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name == "--alone" and not equals:
            found.append("--alone=yes")
            continue
        if name not in WITH_VALUES or not (equals or rest):
            return None
        found.append(f"{name}={value if equals else rest.pop(0)}")
    return found


def run_child(argv: Sequence[str]) -> int:
    """Run `argv` on this terminal, wait for its end, restore the terminal; the status to exit with."""
    terminal = _open_terminal()
    before = _attributes(terminal)
    _write(terminal, PUSH_TITLE)
    passed_on: list[int] = []
    # Until the child exists a signal waits, so that none is lost and none ends this process alone.
    caught = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
    signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    child = os.posix_spawn(argv[0], list(argv), os.environ, setsigmask=[], setsigdef=caught)

    def pass_on(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            number = signal.SIGKILL
        elif number in (signal.SIGTERM, signal.SIGHUP):
            passed_on.append(number)
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in (*caught, signal.SIGALRM):
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)
    status = _wait(child)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in caught:
        signal.signal(number, signal.SIG_IGN)

    code = os.waitstatus_to_exitcode(status)
    _restore(terminal, before, clean=code == 0)
    if code < 0 and -code not in passed_on:
        from cli.obituary import explain

        _write(2, explain(-code).encode())
    if code <= 0 and (code or passed_on):
        return 128 + (-code or passed_on[0])
    return code


def _wait(child: int) -> int:
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        # Suspended: the shell watches this process, so it stops too. `fg` wakes both, `kill` only this one.
        os.kill(os.getpid(), signal.SIGSTOP)
        if os.waitpid(child, os.WCONTINUED | os.WNOHANG)[0] == 0:
            os.kill(child, signal.SIGCONT)


def _open_terminal() -> int:
    try:
        return os.open(os.ctermid(), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return 2


def _attributes(terminal: int) -> list[Any] | None:
    try:
        return termios.tcgetattr(terminal)
    except termios.error:
        return None


def _restore(terminal: int, before: list[Any] | None, clean: bool) -> None:
    if before is None:
        return
    _write(terminal, (b"" if clean else RESTORE) + POP_TITLE)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with suppress(termios.error):
        # After a crash what lies unread are mouse reports, not typing.
        termios.tcsetattr(terminal, termios.TCSADRAIN if clean else termios.TCSAFLUSH, before)


def _write(descriptor: int, data: bytes) -> None:
    with suppress(OSError):  # A terminal that is gone has no reader.
        os.write(descriptor, data)


if __name__ == "__main__":
    main()
