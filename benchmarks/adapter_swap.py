"""LoRA hot-swap: what a change of adapters costs a step, and whether the base comes back exactly.

    python -m benchmarks.adapter_swap [--quick] [--dir FOLDER]

In one context, steps of one sequence without an adapter and of one with it take turns. What is printed is the extra
time of a step after a change over a step after none, in milliseconds of engine time, beside that of a plain one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.engines import quarter_billion
from benchmarks.figure import state
from benchmarks.weights import QUARTER_BILLION, write_adapter
from engine.runtime.backends.base import LoadSpec, Row, SequenceSpec
from engine.runtime.backends.llama.backend import LlamaBackend, open_model
from engine.sampling import resolve
from engine.types import AdapterRef, LoadOptions

LIMIT_MS = 5.0
PROMPT = tuple(range(40, 72))


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a change costs more than the limit, or the base does not come back."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--dir", type=Path, help="where the generated model is kept (default: the cache)")
    options = parser.parse_args(argv)
    model = quarter_billion(options.dir)
    backend = open_model(
        LoadSpec(model="m", path=str(model), options=LoadOptions(context=1024, slots=2)),
        lambda stage, fraction: True,
    )
    with tempfile.TemporaryDirectory() as folder:
        adapter = (AdapterRef(str(write_adapter(Path(folder) / "a.gguf", QUARTER_BILLION, rank=16))),)
        before = answer(backend, ())
        adapted = answer(backend, adapter)
        after = answer(backend, ())
        extra, plain = cost_of_a_change(backend, adapter, 10 if options.quick else 40)
    backend.close()
    exact = before == after and adapted != before
    held = [
        state("base, adapter, base: the base's tokens", "equal" if exact else "OTHERS", "equal", holds=exact),
        state(
            "change of adapters",
            f"{extra:.2f} ms more than a step without ({plain:.1f} ms)",
            f"<= {LIMIT_MS:g} ms",
            holds=extra <= LIMIT_MS,
        ),
    ]
    return int(not all(held))


def answer(backend: LlamaBackend, adapters: tuple[AdapterRef, ...]) -> list[int]:
    """Twenty greedy tokens under `adapters`."""
    backend.set_adapters(adapters)
    put(backend, 0)
    found = [backend.step([Row(0, len(PROMPT))]).sampled[0].token]
    while len(found) < 20:
        found.append(backend.step([Row(0, 1)]).sampled[0].token)
    backend.remove(0)
    return found


def cost_of_a_change(
    backend: LlamaBackend, adapter: tuple[AdapterRef, ...], rounds: int
) -> tuple[float, float]:
    """Milliseconds that a step takes longer right after a change, and those of a step; medians."""
    both = ((), adapter)
    for slot, adapters in enumerate(both):
        backend.set_adapters(adapters)
        put(backend, slot)
        backend.step([Row(slot, len(PROMPT))])
    first: list[float] = []
    later: list[float] = []
    for _ in range(rounds):
        for slot, adapters in enumerate(both):
            began = time.perf_counter()
            backend.set_adapters(adapters)
            backend.step([Row(slot, 1)])
            changed = time.perf_counter()
            backend.step([Row(slot, 1)])
            first.append(changed - began)
            later.append(time.perf_counter() - changed)
    for slot in (0, 1):
        backend.remove(slot)
    extra = statistics.median(one - other for one, other in zip(first, later, strict=True))
    return extra * 1e3, statistics.median(later) * 1e3


def put(backend: LlamaBackend, slot: int) -> None:
    """Put the prompt into a slot."""
    sampling = resolve({"temperature": 0.0, "ignore_eos": True})
    backend.insert(SequenceSpec(slot=slot, tokens=PROMPT, sampling=sampling, seed=1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
