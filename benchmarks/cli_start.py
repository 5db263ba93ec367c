"""Start of the command line: `hearth --help` and `--version` against a bare typer app with as many commands.

Pairs of whole processes, A and B in turns, by wall clock; the figure is the median of the pairs' ratios. A/A
is what the same measurement gives for the bare app against itself.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figure import state

LIMIT = 1.5
BARE = """
import typer
from importlib.metadata import version
app = typer.Typer()
def show(wanted: bool) -> None:
    if wanted:
        print(version("typer"))
        raise typer.Exit()
@app.callback()
def root(version: bool = typer.Option(False, "--version", callback=show, is_eager=True)) -> None:
    "A bare app."
"""
COMMAND = """
@app.command()
def {name}(text: str = "") -> None:
    "Print a text."
    print(text)
"""


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a ratio is over the limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cli_start", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 pairs instead of 15")
    pairs = 5 if parser.parse_args(argv).quick else 15
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(
            BARE + "".join(COMMAND.format(name=f"command{n}") for n in range(commands())) + "app()\n"
        )
        for flag in ("--help", "--version"):
            ours = [sys.executable, "-P", "-m", "cli.launcher", flag]
            theirs = [sys.executable, "-P", str(bare), flag]
            ratio = median_ratio(ours, theirs, pairs)
            band = median_ratio(theirs, theirs, pairs)
            figure = f"{ratio:.2f} × bare typer (A/A {band:.2f})"
            failed |= not state(f"hearth {flag}", figure, f"<= {LIMIT}", holds=ratio <= LIMIT)
    return int(failed)


def commands() -> int:
    """How many commands `hearth` has."""
    code = "from cli.main import Commands; print(len(Commands.table))"
    return int(subprocess.check_output([sys.executable, "-c", code], env=environment()))


def median_ratio(ours: list[str], theirs: list[str], pairs: int) -> float:
    """The median over `pairs` of the time of `ours` over that of `theirs`; one pair more warms up."""
    ratios = [timed(ours) / timed(theirs) for _ in range(pairs + 1)]
    return statistics.median(ratios[1:])


def timed(command: list[str]) -> float:
    """Seconds of wall clock that `command` takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.perf_counter() - began


def environment() -> dict[str, str]:
    """This process's environment, in which Hearth can be imported from any folder."""
    root = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
