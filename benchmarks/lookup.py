"""Speculative decoding by prompt lookup: its tokens a second over those without, where text repeats and where not.

    python -m benchmarks.lookup [--quick] [--dir FOLDER]

Text that repeats is made by leaving the model a dozen tokens to choose from, greedily; at temperature 1 among all of
them nothing ever repeats, so that guesses can only cost. Two engines run in this process, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.engines import Asked, ask, engine_in, quarter_billion
from benchmarks.figure import state
from engine.types import GenerationRequest, LoadOptions

GUESSES = 15
SAMPLING = {
    "repeats": {"temperature": 0.0, "logit_bias": dict.fromkeys(range(40, 52), 100.0)},
    "does not": {"temperature": 1.0},
}


def main(argv: list[str]) -> int:
    """Measure and print; 1 if it does not pay where text repeats, or costs too much where it does not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--dir", type=Path, help="where the generated model is kept (default: the cache)")
    options = parser.parse_args(argv)
    ratios = asyncio.run(measure(str(quarter_billion(options.dir)), 3 if options.quick else 7))
    held = []
    for name, limit in (("repeats", 1.2), ("does not", 0.95)):
        ratio, right = ratios[name]
        held.append(
            state(
                f"lookup of {GUESSES} tokens, text that {name}",
                f"{ratio:.2f} of without ({right:.0%} of guesses right)",
                f">= {limit}",
                holds=ratio >= limit,
            )
        )
    return int(not all(held))


async def measure(model: str, rounds: int) -> dict[str, tuple[float, float]]:
    """For each kind of text: the ratio of decode rates, and the share of guesses that were right."""
    found = {}
    async with engine_in(draft_tokens=GUESSES) as guessing, engine_in() as plain:
        for name, sampling in SAMPLING.items():
            ratios, right, wrong = [], 0, 0
            for number in range(rounds):
                request = asked(model, number, sampling)
                fast: Asked = await ask(guessing, request)
                slow: Asked = await ask(plain, request)
                ratios.append(rate(fast) / rate(slow))
                right += fast.usage.draft_accepted
                wrong += fast.usage.draft_rejected
            found[name] = statistics.median(ratios), right / max(1, right + wrong)
    return found


def rate(answer: Asked) -> float:
    """Tokens a second after the first."""
    return answer.timings.decode_rate(answer.usage.completion_tokens) or 0.0


def asked(model: str, number: int, sampling: dict[str, Any]) -> GenerationRequest:
    """A prompt of its own for each number, and 200 tokens of answer."""
    return GenerationRequest(
        model=model,
        tokens=tuple(33 + (7 * index + 31 * number) % 400 for index in range(40)),
        max_tokens=200,
        sampling={**sampling, "ignore_eos": True, "seed": number},
        load=LoadOptions(context=512, slots=1),
        keep_alive=-1,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
