"""The launcher on a real terminal: after any death of its child the terminal is as it was."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from cli.launcher import RESTORE, workstation_options
from tests.cli.conftest import Open

ENTER = (
    "import os, sys, termios, tty, signal\n"
    "tty.setraw(0)\n"
    r"os.write(1, b'\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b[?1004h\x1b[>1u')"
    "\nos.write(1, b'on screen %d.' % os.getpid())\n"
)
RUN = "import sys; from cli.launcher import run_child; sys.exit(run_child(sys.argv[1:]))"


def launched(child: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", RUN, sys.executable, "-P", "-c", child)


def child_pid(written: bytes) -> int:
    return int(written.rpartition(b"on screen ")[2].rstrip(b"."))


@pytest.mark.parametrize(
    ("death", "status"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 128 + signal.SIGSEGV),
        ("os.abort()", 128 + signal.SIGABRT),
        ("raise RuntimeError('broken')", 1),
        ("os._exit(7)", 7),
    ],
)
def test_a_death_on_the_alternate_screen_leaves_the_terminal_as_it_was(
    on_terminal: Open, death: str, status: int
) -> None:
    terminal = on_terminal(
        *launched(f"import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n{ENTER}{death}")
    )
    terminal.expect("on screen ")
    assert terminal.wait() == status
    assert RESTORE in terminal.screen
    assert terminal.attributes() == terminal.attributes_before


def test_a_kill_is_told_after_the_terminal_is_restored(on_terminal: Open, hearth_home: Path) -> None:
    terminal = on_terminal(*launched(f"{ENTER}os.kill(os.getpid(), signal.SIGKILL)"))
    terminal.wait()
    told = terminal.screen.partition(RESTORE)[2].decode()
    assert "SIGKILL (signal 9)" in told
    assert "start it again" in told


def test_a_good_end_leaves_the_screen_alone(on_terminal: Open) -> None:
    terminal = on_terminal(*launched("print('done')"))
    terminal.expect("done")
    assert terminal.wait() == 0
    assert b"\x1b[?1049l" not in terminal.screen
    assert terminal.attributes() == terminal.attributes_before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_launcher_reaches_an_app_that_leaves_by_itself(
    on_terminal: Open, number: int
) -> None:
    waits = f"signal.pthread_sigmask(signal.SIG_BLOCK, [{number:d}])\n"
    leaves = f"signal.sigwait([{number:d}])\nos.write(1, b'leaving')"
    terminal = on_terminal(*launched(f"import signal\n{waits}{ENTER}{leaves}"))
    terminal.expect("on screen ")
    terminal.expect(".")
    terminal.signal(number)
    assert terminal.wait() == 128 + number
    assert b"leaving" in terminal.screen
    assert terminal.attributes() == terminal.attributes_before


def test_a_signal_that_kills_an_unprepared_app_is_no_crash_report(on_terminal: Open) -> None:
    terminal = on_terminal(*launched(f"{ENTER}signal.pause()"))
    terminal.expect("on screen ")
    terminal.expect(".")
    terminal.signal(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGTERM
    assert RESTORE in terminal.screen
    assert b"error:" not in terminal.screen


def test_an_app_that_ignores_the_end_is_killed(on_terminal: Open) -> None:
    deaf = f"import signal\nsignal.signal(15, signal.SIG_IGN)\n{ENTER}while True: signal.pause()"
    run = "import sys, cli.launcher as l; l.GRACE_SECONDS = 0.1; sys.exit(l.run_child(sys.argv[1:]))"
    terminal = on_terminal(sys.executable, "-P", "-c", run, sys.executable, "-c", deaf)
    terminal.expect("on screen ")
    terminal.expect(".")
    terminal.signal(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGKILL
    assert terminal.attributes() == terminal.attributes_before


def test_suspending_the_app_suspends_the_launcher_and_waking_it_wakes_the_app(on_terminal: Open) -> None:
    terminal = on_terminal(*launched(f"{ENTER}os.kill(os.getpid(), signal.SIGSTOP)\nprint('woken')"))
    written = terminal.expect("on screen ") + terminal.expect(".")
    pid, status = os.waitpid(terminal.pid, os.WUNTRACED)
    assert pid == terminal.pid
    assert os.WIFSTOPPED(status)
    terminal.signal(signal.SIGCONT)
    terminal.expect("woken")
    assert terminal.wait() == 0
    assert child_pid(written) != terminal.pid


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], []),
        (["--config", "a.toml"], ["--config=a.toml"]),
        (["--config=a=b.toml", "--log-level", "debug"], ["--config=a=b.toml", "--log-level=debug"]),
        (["--config"], None),
        (["--help"], None),
        (["--version"], None),
        (["chat"], None),
        (["--config", "a.toml", "chat"], None),
    ],
)
def test_only_global_options_open_the_workstation(arguments: list[str], options: list[str] | None) -> None:
    assert workstation_options(arguments) == options
