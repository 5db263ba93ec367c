"""The child process of the launcher: opens the workstation, and leaves when the launcher is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading

from cli.errors import guarded
from cli.signals import leave_on_signals


def main() -> int:
    """Run the workstation; arguments are the launcher's pipe and the global options, as it writes them."""
    # Until the screen has handlers of its own these keep a signal from leaving the terminal half set up.
    leave_on_signals()
    threading.Thread(target=_leave_with, args=(int(sys.argv[1]),), daemon=True, name="launcher-watch").start()
    options = dict(option.removeprefix("--").split("=", 1) for option in sys.argv[2:])
    return guarded(lambda: open_workstation(options.get("config"), options.get("log-level")))


def open_workstation(config: str | None, log_level: str | None) -> int:
    """Open the full-screen app with the settings that the flags, the environment and the files give."""
    from cli.configuration import load

    settings = load(config, log_level).settings
    from tui.run import run

    return run(settings, config=config, flags={"log.level": log_level})


def _leave_with(pipe: int) -> None:
    os.set_inheritable(pipe, False)
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
