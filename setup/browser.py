"""Brings Chromium for the long tests of the web page, where this machine can have it: `python -m setup.browser`.

Debian's and Ubuntu's package manager is asked, as root, or as a user who needs no password for that. Where there is
none, or no network, nothing is lost: the tests that need a browser say that it is missing, and are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = ("chromium", "chromium-driver")
SECONDS = 600


def main() -> int:
    """Install them unless they are there. Always 0: a machine without a browser is no failure."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return 0
    apt = shutil.which("apt-get")
    if apt is None:
        return _without("this machine has no apt-get")
    prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if prefix and shutil.which("sudo") is None:
        return _without("only root may install packages")
    print("Installing Chromium for the tests of the web page.", file=sys.stderr, flush=True)
    commands = ([apt, "update", "-q"], [apt, "install", "-q", "-y", "--no-install-recommends", *PACKAGES])
    for command in commands:
        if problem := _run([*prefix, *command]):
            return _without(problem)
    return 0


def _run(command: list[str]) -> str:
    """Run it; why it did not go well, empty if it did."""
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}"
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["apt-get failed"])[-1]


def _without(why: str) -> int:
    print(f"Without Chromium: {why}. The tests that need it are skipped.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
