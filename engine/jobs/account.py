"""The account of an attempt that has ended, as a row of the metrics."""

from __future__ import annotations

from engine.jobs.turns import End
from engine.types import Job, JobRecord


def record_of(job: Job, end: End, began: float, ended: float) -> JobRecord:
    """The row of an attempt that ran from `began` to `ended` (Unix seconds)."""
    state = "cancelled" if end.cancelled else "done"
    if end.error is not None:
        state = "error" if end.again_s is None else "retry"
    return JobRecord(
        time=ended,
        id=job.id,
        attempt=job.attempt,
        state=state,
        kind=job.kind,
        client=job.client,
        model=job.model,
        error_code=end.error.code if end.error is not None else None,
        waited_ms=max(0.0, began - job.created) * 1e3,
        run_ms=max(0.0, ended - began) * 1e3,
    )
