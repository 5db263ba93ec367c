"""Decode speed through the whole engine, as a ratio to a bare `llama_decode` loop on the same weights.

    python -m benchmarks.decode [--quick] [--exclusive] [--dir FOLDER]

Budget: 0.95 of the bare loop at 1, 4 and 16 streams. Each round measures bare, Hearth, bare in turn; the
ratio of a round is Hearth over the mean of its neighbours, the noise band that of the two bare runs, which
are the same thing twice. Hearth runs as it does beside a screen (a core left to it, waiting threads sleep), or
with --exclusive on all cores with threads that spin, which needs an otherwise idle machine; the baseline
always runs as Hearth does, at its priority too. It clears its memory before each run, so Hearth keeps nothing
of its requests either: what kept tokens cost is told by `benchmarks.prefix_cache`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bare_llama import prompt
from benchmarks.figure import state
from benchmarks.weights import QUARTER_BILLION, cached_llama
from engine.errors import HearthError
from engine.local import LocalEngine
from engine.paths import resolve
from engine.runtime.backends.llama.library import cores
from engine.runtime.host import environment
from engine.runtime.worker.__main__ import NICE
from engine.settings import Runtime, Settings
from engine.types import CachePolicy, Delta, Failed, GenerationRequest, LoadOptions

BUDGET = 0.95
SLOTS, CONTEXT = 16, 256
STEPS = {1: 96, 4: 64, 16: 40}
"""Decodes of one run, by number of streams."""


@dataclass(frozen=True, slots=True)
class Result:
    """Ratios of all rounds at one number of streams; rates in tokens a second."""

    streams: int
    ratios: tuple[float, ...]
    noise: tuple[float, ...]
    bare: float
    hearth: float

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def verdict(self) -> str:
        """`holds`, `BELOW`, or that nobody can tell: the same thing twice differed by a tenth."""
        low, _, high = statistics.quantiles(self.noise, n=4)
        if high - low > 0.1:
            return "too noisy to tell"
        return "holds" if self.median >= BUDGET else "BELOW"

    def line(self) -> str:
        low, _, high = statistics.quantiles(self.noise, n=4)
        return (
            f"{self.streams:>7}{self.bare:>12.1f}{self.hearth:>12.1f}{self.median:>9.3f}"
            f"   {min(self.ratios):.3f}-{max(self.ratios):.3f}   {low:.3f}-{high:.3f}"
            f"   {self.verdict}"
        )


class Bare:
    """The baseline process, kept over all rounds so that it is as warm as Hearth's worker."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def rate(self, streams: int, steps: int) -> float:
        """Tokens a second of one run."""
        self._write(f"{streams} {steps}\n")
        return float(self._read())

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("The baseline process ended.")
        return line

    @classmethod
    @contextmanager
    def running(cls, model: Path, *, shared: bool) -> Iterator[Bare]:
        command = [sys.executable, "-m", "benchmarks.bare_llama", str(model), str(SLOTS), str(CONTEXT)]
        with subprocess.Popen(
            [
                *command,
                str(max(1, cores() - 1) if shared else cores()),
                str(cores()),
                str(NICE if shared else 0),
            ],
            env=environment(os.environ, passive=shared),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parent.parent,
        ) as process:
            bare = cls(process)
            try:
                bare._read()
                yield bare
            finally:
                process.kill()


async def hearth_rate(engine: LocalEngine, model: str, streams: int, steps: int) -> float:
    """Tokens a second while all of `streams` requests decode: from the last first token to the first end."""
    options = LoadOptions(slots=SLOTS, context=CONTEXT)
    requests = [
        engine.generate(
            GenerationRequest(
                model=model,
                tokens=tuple(prompt(stream)),
                max_tokens=steps + 1,
                sampling={"temperature": 0.0},
                keep_alive=-1,
                cache=CachePolicy(write=False),
                load=options,
                source="eval",
            )
        )
        for stream in range(streams)
    ]

    async def arrivals(stream: object) -> list[tuple[int, int]]:
        found = []
        async for event in stream:  # type: ignore[attr-defined]
            if isinstance(event, Delta) and event.tokens:
                found.append((event.t_ns, event.tokens))
            elif isinstance(event, Failed):
                raise HearthError(event.error.what, event.error.why, event.error.fix)
        return found

    seen = await asyncio.gather(*map(arrivals, requests))
    began = max(tokens[0][0] for tokens in seen)
    ended = min(tokens[-1][0] for tokens in seen)
    counted = sum(count for tokens in seen for at, count in tokens if began < at <= ended)
    if counted < streams * steps * 0.5:
        raise SystemExit(f"Only {counted} of {streams * steps} tokens were decoded side by side.")
    return counted / (ended - began) * 1e9


async def measure(model: Path, rounds: int, portion: float, *, shared: bool) -> list[Result]:
    """One result for each number of streams; `portion` scales the decodes of a run."""
    results = []
    settings = Settings(runtime=Runtime(exclusive=not shared))
    with tempfile.TemporaryDirectory() as home, Bare.running(model, shared=shared) as bare:
        os.environ["HEARTH_HOME"] = home
        # A headless server has one loop; beside a screen the engine has a thread to itself.
        engine = LocalEngine(settings, screen_attached=shared, thread=shared)
        try:
            for streams, full in STEPS.items():
                steps = max(16, int(full * portion))
                bare.rate(streams, steps)
                await hearth_rate(engine, str(model), streams, steps)
                before = bare.rate(streams, steps)
                ratios, noise, rates, bare_rates = [], [], [], [before]
                for _ in range(rounds):
                    hearth = await hearth_rate(engine, str(model), streams, steps)
                    after = bare.rate(streams, steps)
                    ratios.append(hearth / ((before + after) / 2))
                    noise.append(after / before)
                    rates.append(hearth)
                    bare_rates.append(after)
                    before = after
                results.append(
                    Result(
                        streams,
                        tuple(ratios),
                        tuple(noise),
                        statistics.median(bare_rates),
                        statistics.median(rates),
                    )
                )
                print(results[-1].line(), flush=True)
        finally:
            await engine.close()
    return results


def main(argv: list[str]) -> int:
    """Print a line for each number of streams; 1 unless all hold the budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter runs, same number of rounds")
    parser.add_argument("--exclusive", action="store_true", help="all cores, spinning")
    parser.add_argument("--dir", type=Path, help="where the generated model is kept (default: the cache)")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved pairs for each number of streams")
    arguments = parser.parse_args(argv)
    rounds = max(2, arguments.rounds)
    folder = arguments.dir or resolve().cache / "benchmarks"
    model = cached_llama(folder, QUARTER_BILLION, "quarter-billion-q8_0")
    print(
        f"{QUARTER_BILLION.parameters / 1e6:.0f} M parameters, Q8_0, {cores()} cores "
        f"{'exclusive' if arguments.exclusive else 'shared'}, {rounds} rounds; budget {BUDGET}"
    )
    print(f"{'streams':>7}{'bare tok/s':>12}{'Hearth':>12}{'ratio':>9}   {'range':<13}{'A/A quartiles':<16}")
    results = asyncio.run(
        measure(model, rounds, 0.4 if arguments.quick else 1.0, shared=not arguments.exclusive)
    )
    held = [
        state(
            f"decode with {result.streams} streams",
            f"{result.median:.3f} of bare llama.cpp ({result.verdict})",
            f">= {BUDGET}",
            holds=result.verdict == "holds",
        )
        for result in results
    ]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
