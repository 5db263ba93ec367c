"""A thousand models on this machine: how long the catalog and `hearth list` take to list them.

Files of a published size with a vocabulary of 128,256 tokens, their weights holes, in a folder of their own. Headers
are read once and then kept (`engine.library.kept_headers`): `first` is that look, the others are what everyday looks
take, the command line in processes of its own. Medians.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cli_start import environment
from benchmarks.figure import state

MODELS = 1000
CATALOG_LIMIT, LIST_LIMIT = 1.0, 2.5
"""Seconds. The command line has to start, too, and to ask the devices for their memory."""


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a limit is passed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 models, whose time is counted tenfold")
    count = MODELS // 10 if parser.parse_args(argv).quick else MODELS
    factor = MODELS / count
    with tempfile.TemporaryDirectory() as place:
        folder, home = Path(place, "models"), Path(place, "home")
        write(folder, count)
        first = looked(folder, home)
        again = statistics.median(looked(folder, home) for _ in range(5))
        listed = statistics.median(printed(folder, home) for _ in range(3))
    state("first look", f"{factor * first:.1f} s for {MODELS} models", "-", holds=True)
    seconds = factor * again
    good = state(
        "catalog",
        f"{seconds:.2f} s for {MODELS} models",
        f"<= {CATALOG_LIMIT} s",
        holds=seconds <= CATALOG_LIMIT,
    )
    good &= state(
        "hearth list", f"{listed:.2f} s for {count} models", f"<= {LIST_LIMIT} s", holds=listed <= LIST_LIMIT
    )
    return int(not good)


def write(folder: Path, count: int) -> None:
    """Models of the shape of Llama 3.1 8B, each a file of its own."""
    from tests.weights import published

    folder.mkdir(parents=True)
    published.VOCABULARY = 128_256
    first = published.PUBLISHED["Llama 3.1 8B"].write(folder / "model-0000-Q4_K_M.gguf")
    from engine.library.gguf import read_header

    size = read_header(first).size + 64
    with first.open("rb") as file:
        head = file.read(size)
    whole = first.stat().st_size
    for number in range(1, count):
        with open(folder / f"model-{number:04}-Q4_K_M.gguf", "wb") as file:
            file.write(head)
            file.truncate(whole)


def looked(folder: Path, home: Path) -> float:
    """Seconds that a catalog takes that has seen nothing yet in this process."""
    from engine import paths, settings
    from engine.library import Catalog

    said = settings.load(environ={}, cwd=folder, cli={"models.folders": [str(folder)]})
    catalog = Catalog(said, paths.resolve({"HEARTH_HOME": str(home)}), starter=None)
    began = time.perf_counter()
    found = catalog.entries()
    passed = time.perf_counter() - began
    if len(found) != len(list(folder.iterdir())) or any(entry.broken for entry in found):
        raise SystemExit("not all models are listed")
    return passed


def printed(folder: Path, home: Path) -> float:
    """Seconds of wall clock of `hearth list`."""
    said = {"HEARTH_HOME": str(home), "HEARTH_MODELS__FOLDERS": str(folder)}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-P", "-m", "cli.launcher", "list"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**environment(), **said},
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
