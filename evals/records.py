"""What evals and benches come to, as rows of the engine's metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine import Engine
from engine.types import BenchRecord, EvalRecord
from evals.findings import Findings, findings
from evals.store import EvalStore, Run

if TYPE_CHECKING:
    from evals.bench.run import Target


async def record_eval(engine: Engine, store: EvalStore, ended: Run) -> None:
    """Put what a run came to among the metrics; nothing of one that is not finished."""
    if ended.state == "finished":
        for record in eval_records(await asyncio.to_thread(findings, store, ended)):
            await engine.metrics.record(record)


def eval_records(found: Findings) -> list[EvalRecord]:
    """A row a model and scorer; of models that answered nothing, one without a score."""
    run = found.run
    moment = run.ended if run.ended is not None else time.time()
    records = []
    for place, each in enumerate(found.subjects):
        said: dict[str, Any] = {
            "time": moment,
            "run": run.id,
            "dataset": run.dataset,
            "model": run.settings.subjects[place].label[:1000],
            "failed": len(each.failed),
        }
        if each.summary is None:
            records.append(EvalRecord(**said))
            continue
        records += [
            EvalRecord(
                **said,
                scorer=summary.scorer,
                score=summary.score,
                low=summary.interval.low,
                high=summary.interval.high,
                samples=summary.count,
            )
            for summary in (each.summary, *each.others)
        ]
    return records


def bench_records(targets: Sequence[Target], described: Mapping[str, Mapping[str, Any]]) -> list[BenchRecord]:
    """A row a target and load; `described` says by label what is known of the models."""
    moment = time.time()
    same = (
        "requests", "failed", "prompt_tokens", "cached_tokens", "completion_tokens", "seconds", "tokens_per_s",
        "prefill_per_s", "goodput_per_s", "joules",
    )  # fmt: skip
    return [
        BenchRecord(
            time=moment,
            target=each.subject.label[:1000],
            model=each.subject.model[:1000],
            url=(each.subject.url or "")[:1000],
            backend=str(described.get(each.subject.label, {}).get("backend") or ""),
            shape=each.shape.label,
            ttft_p50_s=each.figures.ttft.p50,
            ttft_p99_s=each.figures.ttft.p99,
            tpot_p50_s=each.figures.tpot.p50,
            tpot_p99_s=each.figures.tpot.p99,
            **{name: getattr(each.figures, name) for name in same},
        )
        for each in targets
    ]
