"""Evals as they might have been run: fills a store with runs, benches and battles, for screenshots and tests."""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Sequence

from msgspec.structs import replace

from engine.errors import ContextOverflow
from engine.paths import Paths, ensure
from evals import (
    Answer,
    Battle,
    EvalStore,
    Row,
    Run,
    Sample,
    Score,
    Settings,
    Spec,
    open_dataset,
    subjects,
)

DAY = 86400.0
LONG = "Qwen3-Coder-30B-A3B-Instruct-1M-UD-Q4_K_XL:every-style-of-comment-there-is"
_MACHINE = {"versions": {"hearth": "0.1.0", "llama-cpp-python": "0.3.16"}}


def fill(paths: Paths, now: float) -> None:
    """Runs, benches and battles of the last weeks, as they might stand at `now` (Unix seconds)."""
    store = EvalStore(paths)
    try:
        for place, (ago, models, skill) in enumerate(_RUNS):
            _run(store, "golden_general", now - ago * DAY, models, skill, seed=place)
        _run(store, "golden_json", now - 1.2 * DAY, ["qwen3-8b-instruct", LONG], (0.93, 0.7), seed=40)
        _run(store, "golden_tools", now - 3500, ["gemma-3-12b-it"], (0.8,), seed=41, until=17)
        store.pin(store.runs("golden_general")[-1])
        for battle in battles(now):
            store.fought(battle)
    finally:
        store.close()
    _benches(paths, now)


_RUNS: tuple[tuple[float, Sequence[str], tuple[float, ...]], ...] = (
    (19.0, ("qwen3-8b-instruct",), (0.84,)),
    (12.5, ("qwen3-8b-instruct",), (0.82,)),
    (6.1, ("qwen3-8b-instruct", "qwen3-8b-instruct:terse"), (0.86, 0.6)),
    (0.01, ("qwen3-8b-instruct", "gemma-3-12b-it"), (0.86, 0.93)),
)


def _run(
    store: EvalStore,
    dataset: str,
    begun: float,
    models: Sequence[str],
    skill: Sequence[float],
    *,
    seed: int,
    until: int | None = None,
) -> None:
    opened = open_dataset(dataset)
    settings = Settings(
        dataset=dataset,
        subjects=subjects(models),
        scorers=(Spec(name=opened.scorer),),
        max_tokens=opened.max_tokens,
    )
    stamp = time.strftime("%Y%m%dT%H%M%S", time.localtime(begun))
    run = Run(
        id=f"{dataset}-{stamp}",
        dataset=opened.name,
        digest=opened.digest,
        categories=opened.categories,
        settings=settings,
        created=begun,
        total=len(opened.samples) * len(models),
        samples=len(opened.samples),
        facts={"machine": _MACHINE, "models": {}},
    )
    store.begin(run, opened.samples)
    rng = random.Random(seed)
    rows = [
        _row(rng, subject, place, sample, skill[subject], opened.scorer)
        for subject in range(len(models))
        for place, sample in enumerate(opened.samples[:until])
    ]
    if until is None and len(models) > 1:
        too_long = ContextOverflow(
            "The prompt does not fit the context window.", "9,120 tokens of 8,192."
        ).info
        rows[-1] = replace(rows[-1], answer=Answer(error=too_long), scores={})
    store.record(run, rows)
    store.end(run, "finished" if until is None else "stopped")


def _row(rng: random.Random, subject: int, place: int, sample: Sample, skill: float, scorer: str) -> Row:
    passed = rng.random() < skill
    wanted = next((words[0] for words in sample.keywords), "") or (
        sample.answers[0] if sample.answers else "{}"
    )
    text = (
        f"The answer is {wanted}."
        if passed
        else "I am not sure, but it may have been somebody else at the time."
    )
    return Row(
        subject=subject,
        sample=place,
        answer=Answer(
            texts=(text,),
            finish="stop",
            prompt_tokens=rng.randint(20, 48),
            completion_tokens=len(text) // 4,
            ttft_s=round(rng.uniform(0.05, 0.4), 3),
            total_s=round(rng.uniform(0.5, 2.4), 3),
        ),
        scores={
            scorer: Score(
                value=float(passed),
                passed=passed,
                hits={" or ".join(words): passed for words in sample.keywords[:1]},
            )
        },
    )


def battles(now: float) -> list[Battle]:
    """Votes between three models."""
    rng = random.Random(3)
    strength = {"qwen3-8b-instruct": 0.0, "gemma-3-12b-it": 0.9, "ember": -2.2}
    questions = (
        "Explain why the sky is blue to somebody of ten.",
        "Write a limerick about a compiler that is never content.",
        "Which is heavier, a litre of water or a litre of ice?",
    )
    found = []
    for number in range(38):
        one, other = rng.sample(sorted(strength), 2)
        odds = 2.718 ** (strength[one] - strength[other])
        drawn = rng.random()
        outcome = "tie" if drawn > 0.9 else "neither" if drawn > 0.86 else None
        if outcome is None:
            outcome = "first" if rng.random() < odds / (1 + odds) else "second"
        found.append(
            Battle(
                id=f"battle{number:03}",
                created=now - (38 - number) * 5000,
                prompt=questions[number % len(questions)],
                first=one,
                second=other,
                answers=("One answer.", "Another answer."),
                outcome=outcome,  # type: ignore[arg-type]
            )
        )
    return found


def _benches(paths: Paths, now: float) -> None:
    from evals import BENCH_COLUMNS

    rng = random.Random(5)
    path = ensure(paths.eval_results) / "bench.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, BENCH_COLUMNS, lineterminator="\n")
        writer.writeheader()
        for place in range(8):
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now - (8 - place) * 2.3 * DAY))
            for target, speed in (("qwen3-8b-instruct", 46.0), ("gemma-3-12b-it", 31.0)):
                for many in (1, 4):
                    writer.writerow(_bench(rng, moment, target, speed * (1 + 0.02 * place), many))


def _bench(rng: random.Random, moment: str, target: str, speed: float, many: int) -> dict[str, object]:
    rate = speed * many**0.8 * rng.uniform(0.96, 1.04)
    row: dict[str, object] = {
        "time": moment, "target": target, "model": target, "backend": "llama", "quantisation": "Q4_K_M",
        "shape": f"{many} at once", "concurrency": many, "requests": 20, "failed": 0, "input_len": 128,
        "output_len": 64, "prompt_tokens": 2560, "cached_tokens": 0, "completion_tokens": 1280,
        "seconds": round(1280 / rate, 3), "tokens_per_s": round(rate, 2), "total_tokens_per_s": round(3 * rate, 2),
        "requests_per_s": round(rate / 64, 3), "prefill_per_s": 812.4, "goodput_per_s": round(rate / 64, 3),
        "tokens_per_step": round(many * 0.9, 2), "seed": 0, "system": "Linux 6.8", "processor": "AMD Ryzen 9 7950X",
        "cores": 16, "memory": 64 * 2**30, "load": 0.4, "python": "3.12.7", "hearth": "0.1.0",
        "library": "llama-cpp-python 0.3.16",
    }  # fmt: skip
    for name, middle in (
        ("ttft", 0.16 * many**0.5),
        ("tpot", many / rate),
        ("itl", many / rate),
        ("e2e", 64 * many / rate),
    ):
        for part, factor in (("avg", 1.05), ("stdev", 0.2), ("p50", 1.0), ("p90", 1.3), ("p99", 1.7)):
            row[f"{name}_{part}_s"] = round(middle * factor, 5)
    return row
