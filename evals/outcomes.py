"""From rows to figures: what each subject reached on each sample, and in all, with an interval."""

from __future__ import annotations

import math
import statistics as stdlib
from collections.abc import Mapping, Sequence

from msgspec import Struct

from evals import statistics
from evals.sample import Sample, Score
from evals.statistics import Interval
from evals.store import Row, Run, Settings


class Outcome(Struct, frozen=True, kw_only=True):
    """What one subject reached on one sample, over its epochs. `row` is the first of them."""

    sample: int
    id: str
    category: str
    value: float
    passed: bool | None
    weight: float
    row: Row


class Share(Struct, frozen=True, kw_only=True):
    """A part of the outcomes, such as a category."""

    name: str
    count: int
    score: float


class Summary(Struct, frozen=True, kw_only=True):
    """How a subject did. `score` is the share that passed where samples pass or fail, else the mean value."""

    label: str
    scorer: str
    count: int
    """Samples that count."""
    failed: int
    """Rows that ended in an error, and count for nothing."""
    passed: int | None
    """None where samples have marks, and do not pass or fail."""
    score: float
    interval: Interval
    method: str
    """How the interval was made."""
    mean_value: float
    stdev: float | None
    perplexity: float | None = None
    categories: tuple[Share, ...] = ()
    hits: Mapping[str, tuple[int, int]] = {}
    """What was looked for: found, and asked for."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    median_ttft_s: float | None = None
    cut: int = 0
    """Answers that ended because they had no more tokens."""


def outcomes(run: Run, samples: Sequence[Sample], rows: Sequence[Row], scorer: str) -> list[Outcome]:
    """What the `rows` of one subject come to by `scorer`, in the order of the samples; failed rows are left out."""
    by_sample: dict[int, list[Row]] = {}
    for row in rows:
        if row.scored and scorer in row.scores:
            by_sample.setdefault(row.sample, []).append(row)
    found = []
    for place in sorted(by_sample):
        of_it = sorted(by_sample[place], key=lambda row: row.epoch)
        value, passed = reduced([row.scores[scorer] for row in of_it], run.settings)
        sample = samples[place]
        found.append(
            Outcome(
                sample=place,
                id=sample.id,
                category=sample.category,
                value=value,
                passed=passed,
                weight=of_it[0].scores[scorer].weight,
                row=of_it[0],
            )
        )
    return found


def reduced(scores: Sequence[Score], settings: Settings) -> tuple[float, bool | None]:
    """Several scores of one sample as one: its value, and whether it passed where that can be said."""
    if len(scores) == 1:
        return scores[0].value, scores[0].passed
    passes = [bool(score.passed) for score in scores if score.passed is not None]
    if settings.reduce == "majority" and len(passes) == len(scores):
        # The answer that most gave; where nothing was taken out of the text, what most verdicts say.
        given = [score.answer if score.answer is not None else str(score.passed) for score in scores]
        passed = passes[given.index(statistics.majority(given))]
        return float(passed), passed
    if settings.reduce in ("pass_at", "pass_hat") and len(passes) == len(scores):
        # Fewer answers than k, because some failed, cannot tell about k: of as many as there are, then.
        k = min(settings.k, len(passes))
        of = statistics.pass_at_k if settings.reduce == "pass_at" else statistics.pass_hat_k
        return of(len(passes), sum(passes), k), None
    return statistics.mean([score.value for score in scores]), None


def summary(
    label: str, scorer: str, found: Sequence[Outcome], rows: Sequence[Row], categories: Sequence[str]
) -> Summary:
    """The figures of one subject. ValueError without outcomes."""
    if not found:
        raise ValueError("there is nothing to sum up")
    values, weights = [each.value for each in found], [each.weight for each in found]
    weighted = len(set(weights)) > 1 or scorer == "perplexity"
    mean_value = (
        math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights)
        if weighted
        else statistics.mean(values)
    )
    binary = all(each.passed is not None for each in found)
    passed = sum(bool(each.passed) for each in found) if binary else None
    if passed is not None:
        score, interval, method = passed / len(found), statistics.wilson(passed, len(found)), "Wilson"
    else:
        interval = statistics.bootstrap(values, weights=weights if weighted else None)
        score, method = mean_value, "bootstrap"
    done = [row for row in rows if row.scored]
    firsts = [row.answer.ttft_s for row in done if row.answer.ttft_s]
    return Summary(
        label=label,
        scorer=scorer,
        count=len(found),
        failed=len(rows) - len(done),
        passed=passed,
        score=score,
        interval=interval,
        method=method,
        mean_value=mean_value,
        stdev=statistics.stdev(values),
        perplexity=math.exp(mean_value) if scorer == "perplexity" else None,
        categories=tuple(
            _share(name, [each for each in found if each.category == name]) for name in categories
        ),
        hits=_hits(done, scorer),
        prompt_tokens=sum(row.answer.prompt_tokens for row in done),
        completion_tokens=sum(row.answer.completion_tokens for row in done),
        median_ttft_s=stdlib.median(firsts) if firsts else None,
        cut=sum(row.answer.finish in ("length", "context_full") for row in done),
    )


def _share(name: str, found: Sequence[Outcome]) -> Share:
    values = [each.value if each.passed is None else float(each.passed) for each in found]
    return Share(name=name, count=len(values), score=statistics.mean(values) if values else math.nan)


def _hits(rows: Sequence[Row], scorer: str) -> dict[str, tuple[int, int]]:
    counted: dict[str, tuple[int, int]] = {}
    for row in rows:
        for name, hit in row.scores[scorer].hits.items() if scorer in row.scores else ():
            found, asked = counted.get(name, (0, 0))
            counted[name] = (found + hit, asked + 1)
    return counted
