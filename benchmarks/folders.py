"""Tokens a second of model folders through the whole engine, as a ratio to the bare library.

    python -m benchmarks.folders [--quick] [--dir FOLDER]

Under transformers one request against `generate` of one, and eight at once against one padded `generate` of eight;
under MLX against `BatchGenerator`. Each round measures bare, Hearth, bare in turn, both from the request to the last
token, prefill and all.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from benchmarks.bare_llama import prompt
from benchmarks.engines import ask, engine_in
from benchmarks.figure import state
from engine.local import LocalEngine
from engine.paths import resolve
from engine.runtime.host import environment
from engine.types import BackendName, CachePolicy, GenerationRequest, LoadOptions

LIMITS = {("transformers", 1): 0.9, ("transformers", 8): 0.8, ("mlx", 1): 0.9, ("mlx", 8): 0.9}
"""By backend and number of streams."""
STEPS = 48


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a ratio is under its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--dir", type=Path, help="where the generated model is kept (default: the cache)")
    options = parser.parse_args(argv)
    folder = model_in(options.dir or resolve().cache / "benchmarks")
    rounds = 3 if options.quick else 7
    held = []
    for (backend, streams), limit in LIMITS.items():
        ratios = asyncio.run(measure(folder, backend, streams, rounds))
        median = statistics.median(ratios)
        held.append(
            state(
                f"{backend} with {streams} streams",
                f"{median:.3f} of the bare library ({min(ratios):.2f}-{max(ratios):.2f})",
                f">= {limit}",
                holds=median >= limit,
            )
        )
    return int(not all(held))


def model_in(folder: Path) -> Path:
    """A Llama of 200 million parameters in bfloat16 with random weights, written once."""
    path = folder / "llama-200m-bf16"
    if not (path / "config.json").exists():
        from tests.weights.hf_folders import write_hf

        write_hf(
            path,
            "llama",
            dtype="bfloat16",
            vocab_size=32_000,
            hidden_size=1024,
            intermediate_size=2816,
            num_hidden_layers=12,
            num_attention_heads=16,
            num_key_value_heads=4,
            head_dim=64,
        )
    return path


async def measure(folder: Path, backend: BackendName, streams: int, rounds: int) -> list[float]:
    """The ratios of all rounds."""
    found: list[float] = []
    async with engine_in() as engine:
        with bare(folder, backend) as (asked, told):

            def rate() -> float:
                asked.write(f"{streams} {STEPS}\n")
                asked.flush()
                return float(told.readline())

            rate()
            await hearth(engine, folder, backend, streams)
            before = rate()
            for _ in range(rounds):
                ours = await hearth(engine, folder, backend, streams)
                after = rate()
                found.append(ours / ((before + after) / 2))
                before = after
            print(f"{backend}, {streams}: bare {before:.1f}, Hearth {ours:.1f} tokens a second", flush=True)
    return found


async def hearth(engine: LocalEngine, folder: Path, backend: BackendName, streams: int) -> float:
    """Tokens a second of `streams` requests that come at once, from the first request to the last token."""
    began = time.perf_counter()
    answers = await asyncio.gather(
        *(
            ask(
                engine,
                GenerationRequest(
                    model=str(folder),
                    backend=backend,
                    tokens=tuple(prompt(stream)),
                    max_tokens=STEPS,
                    sampling={"temperature": 0.0, "ignore_eos": True},
                    keep_alive=-1,
                    cache=CachePolicy(write=False),
                    load=LoadOptions(slots=8, context=256),
                    source="eval",
                ),
            )
            for stream in range(streams)
        )
    )
    return sum(each.usage.completion_tokens for each in answers) / (time.perf_counter() - began)


@contextmanager
def bare(folder: Path, backend: str) -> Iterator[tuple[IO[str], IO[str]]]:
    """The baseline process: where to write orders, and where to read answers."""
    with subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.bare_{backend}", str(folder)],
        env=environment(os.environ, passive=True),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).resolve().parent.parent,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdout.readline()
            yield process.stdin, process.stdout
        finally:
            process.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
