"""Writes constraints.txt from what is installed: `.venv/bin/python -m setup.constraints`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEADER = (
    "# Every version that the checks ran with, direct and transitive.\n"
    "# Written by: make setup-dev && .venv/bin/python -m setup.constraints\n"
)
NOT_OURS = ("pip", "setuptools", "hearth")


def pins(frozen: str) -> list[str]:
    """The lines of `pip freeze` that hold on every platform: no local builds' suffixes, no paths."""
    return [
        line.partition("+")[0]
        for line in frozen.splitlines()
        if "==" in line and not line.startswith(("-", "#"))
    ]


def main() -> None:
    """Freeze the running environment."""
    excluded = [argument for name in NOT_OURS for argument in ("--exclude", name)]
    command = [sys.executable, "-m", "pip", "freeze", *excluded]
    frozen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    target = Path(__file__).resolve().parent.parent / "constraints.txt"
    target.write_text(HEADER + "\n".join(pins(frozen)) + "\n")


if __name__ == "__main__":
    main()
