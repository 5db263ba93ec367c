"""Runs every benchmark of this folder in turn, each in a process of its own, and sums up."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

FIGURE = re.compile(r"^\S+(?: \S+)*\s{2,}\S.*\s(?:ok|over)$")
"""The line that a benchmark prints for a figure: name, figure, limit and verdict."""


def names() -> list[str]:
    """The benchmarks: the modules of this folder that have a `main`; the others are what they share."""
    folder = Path(__file__).parent
    return sorted(
        file.stem
        for file in folder.glob("*.py")
        if file.stem[0] != "_" and "\ndef main(" in file.read_text(encoding="utf-8")
    )


def main(argv: list[str]) -> int:
    """Run the benchmarks that `argv` names, or all; 1 if one is over a limit or broke off."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(names()):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    summary: list[str] = []
    failed = False
    for name in options.names or names():
        print(f"== {name}", flush=True)
        status, figures = run(name, quick=options.quick)
        failed |= status != 0
        if not figures or (status and not any(figure.endswith(" over") for figure in figures)):
            figures.append(f"{name}  exit status {status}  0  {'over' if status else 'ok'}")
        summary += figures
    print("\n".join(["", "Summary: name, figure, limit", *summary]))
    return int(failed)


def run(name: str, *, quick: bool) -> tuple[int, list[str]]:
    """Run one benchmark, pass its output on; its exit status and the lines that hold its figures."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
    figures: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if FIGURE.match(line.rstrip()):
                figures.append(line.rstrip())
    return process.returncode, figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
