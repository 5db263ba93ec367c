"""Writes constraints.txt from what is installed: `.venv/bin/python -m setup.constraints`."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterable
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


def kept(before: str, declared: Iterable[str]) -> list[str]:
    """The lines of the file as it was for what this Python or platform does not install: `declared` says which."""
    elsewhere = {
        requirement.partition(";")[0].strip().split(">")[0].split("=")[0]
        for requirement in declared
        if "python_version" in requirement
    }
    return [line for line in pins(before) if line.partition("==")[0] in elsewhere]


def main() -> None:
    """Freeze the running environment."""
    excluded = [argument for name in NOT_OURS for argument in ("--exclude", name)]
    command = [sys.executable, "-m", "pip", "freeze", *excluded]
    frozen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    target = Path(__file__).resolve().parent.parent / "constraints.txt"
    project = tomllib.loads((target.parent / "pyproject.toml").read_text())["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    declared = [*project["dependencies"], *extras]
    fresh = {line.partition("==")[0]: line for line in pins(frozen)}
    old = {line.partition("==")[0]: line for line in kept(target.read_text(), declared)}
    lines = [line for _, line in sorted({**old, **fresh}.items(), key=lambda item: item[0].lower())]
    target.write_text(HEADER + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
