"""Speculative decoding with a draft model: its tokens a second over those without, by how good the guesser is.

    python -m benchmarks.draft_model [--quick] [--dir FOLDER]

The model is ember made forty times as large (`widened`), with noise that has it say something else now and then. For
it guesses ember itself, a version of ember that is all noise, and the model for itself. Greedy stories to their natural
end: past it text would repeat itself, which needs no model to be guessed. Two engines run in this process, in turns.
Judged by processor time, which other programs hardly change.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from pathlib import Path

import psutil
from msgspec import Struct

from benchmarks.engines import Asked, ask, engine_in
from benchmarks.figure import state
from benchmarks.widened import widened
from engine.local import LocalEngine
from engine.paths import resolve
from engine.types import GenerationRequest, LoadOptions, Message
from starter import gguf_path

LARGE, NOISE = 49_152, 19.0
GUESSES = 8
QUESTIONS = tuple(
    f"Tell me a story about a {hero}."
    for hero in ("cat", "robot", "dog", "whale", "pirate", "bear", "fox", "girl")
)


class Guesser(Struct, frozen=True):
    """A draft model, and how many times as many tokens a second of processor time has to give with it."""

    name: str
    path: Path
    least: float


class Found(Struct, frozen=True):
    """Ratios of with to without: of decode rates (the median), and of tokens for each second of processor time.

    `right` is the share of all guesses that was right, `made` how many there were a token.
    """

    ratio: float
    by_processor: float
    right: float
    made: float


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a good guesser does not pay, or a bad one costs too much."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer questions")
    parser.add_argument("--dir", type=Path, help="where the generated models are kept (default: the cache)")
    options = parser.parse_args(argv)
    folder = options.dir or resolve().cache / "benchmarks"
    large = widened(folder, LARGE, NOISE)
    # The last two cannot pay: one is never right, and a step of the other costs what a step of the model does.
    guessers = (
        Guesser("ember", gguf_path(), 1.1),
        Guesser("noise", widened(folder, 1024, 500.0), 0.9),
        Guesser("itself", large, 0.85),
    )
    held = []
    for guesser in guessers:
        found = asyncio.run(measure(large, guesser.path, QUESTIONS[: 4 if options.quick else None]))
        held.append(
            state(
                f"draft model {guesser.name}, up to {GUESSES} tokens",
                f"{found.ratio:.2f} of without; {found.by_processor:.2f} by processor time "
                f"({found.right:.0%} of {found.made:.2f} guesses a token right)",
                f">= {guesser.least}",
                holds=found.by_processor >= guesser.least,
            )
        )
    return int(not all(held))


async def measure(model: Path, draft: Path, questions: tuple[str, ...]) -> Found:
    """Ask every question with `draft` and without."""
    ratios: list[float] = []
    right = wrong = tokens = plain_tokens = 0
    began, seconds = (0.0, 0.0), (0.0, 0.0)
    async with engine_in() as guessing, engine_in() as plain:
        for number, question in enumerate(("Tell me a story.", *questions)):
            fast = await ask(guessing, asked(model, question, str(draft)))
            after_fast = processor_seconds(guessing)
            slow = await ask(plain, asked(model, question, None))
            after_slow = processor_seconds(plain)
            if number == 0:
                # What steps cost is learnt with the first answer.
                began = after_fast, after_slow
                continue
            seconds = after_fast - began[0], after_slow - began[1]
            plain_tokens += slow.usage.completion_tokens
            ratios.append(rate(fast) / rate(slow))
            right += fast.usage.draft_accepted
            wrong += fast.usage.draft_rejected
            tokens += fast.usage.completion_tokens
    return Found(
        statistics.median(ratios),
        (tokens / seconds[0]) / (plain_tokens / seconds[1]),
        right / max(1, right + wrong),
        (right + wrong) / max(1, tokens),
    )


def processor_seconds(engine: LocalEngine) -> float:
    """What the worker of its one model has computed so far."""
    times = psutil.Process(engine.loaded()[0].pid).cpu_times()
    return times.user + times.system


def rate(answer: Asked) -> float:
    """Tokens a second after the first."""
    return answer.timings.decode_rate(answer.usage.completion_tokens) or 0.0


def asked(model: Path, question: str, draft: str | None) -> GenerationRequest:
    """A question, and how the model is to be loaded."""
    return GenerationRequest(
        model=str(model),
        messages=(Message(role="user", content=question),),
        max_tokens=160,
        sampling={"temperature": 0.0},
        load=LoadOptions(
            context=512, slots=1, draft_model=draft, draft_tokens=GUESSES if draft is not None else None
        ),
        keep_alive=-1,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
