"""Benches as rows of a CSV file that only grows, with what they hang on; DuckDB reads it as the history.

The column `time` is UTC.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import StorageFailed
from engine.paths import ensure
from evals.bench.run import Plan, Target
from evals.machine import machine

_SPREADS = ("ttft", "tpot", "itl", "e2e")
_PARTS = ("avg", "stdev", "p50", "p90", "p99")
COLUMNS: tuple[str, ...] = (
    "time", "target", "model", "url", "backend", "quantisation", "shape", "concurrency", "rate", "requests", "failed",
    "input_len", "output_len", "prompt_tokens", "cached_tokens", "completion_tokens", "seconds",
    *(f"{name}_{part}_s" for name in _SPREADS for part in _PARTS),
    "tokens_per_s", "total_tokens_per_s", "requests_per_s", "prefill_per_s", "goodput_per_s", "tokens_per_step",
    "joules", "joules_per_token", "seed", "system", "processor", "cores", "memory", "load", "python", "hearth",
    "library",
)  # fmt: skip


def rows(
    targets: Sequence[Target], plan: Plan, described: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A row a target and shape, by column."""
    here = machine()
    versions = here["versions"]
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    found = []
    for each in targets:
        figures, facts = each.figures, described.get(each.subject.label, {})
        row: dict[str, Any] = {
            "time": moment,
            "target": each.subject.label,
            "model": each.subject.model,
            "url": each.subject.url,
            "backend": facts.get("backend", ""),
            "quantisation": facts.get("quantisation", ""),
            "shape": each.shape.label,
            "concurrency": each.shape.concurrency,
            "rate": each.shape.rate,
            "input_len": plan.input_len,
            "output_len": plan.output_len,
            "seed": plan.seed,
            "hearth": versions.get("hearth", ""),
            "library": "; ".join(
                f"{name} {version}" for name, version in versions.items() if name != "hearth"
            ),
            **{name: here[name] for name in ("system", "processor", "cores", "memory", "load", "python")},
        }
        for name in _SPREADS:
            for part in _PARTS:
                row[f"{name}_{part}_s"] = getattr(getattr(figures, name), part)
        row |= {name: getattr(figures, name) for name in figures.__struct_fields__ if name in COLUMNS}
        found.append(row)
    return found


def append(path: Path, new: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, whole, whoever else adds some. Raises StorageFailed, also for a file with other columns."""
    ensure(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(f"{path} cannot be written.", f"{error.strerror or error}.") from None
    with os.fdopen(descriptor, "r+", encoding="utf-8", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        head = file.readline().strip()
        if head and head != ",".join(COLUMNS):
            raise StorageFailed(
                f"{path.name} has other columns.", "Another version of Hearth made it.", "Move it away."
            )
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        if not head:
            writer.writeheader()
        writer.writerows(
            [{name: "" if value is None else value for name, value in row.items()} for row in new]
        )
        file.write(text.getvalue())


def history(path: Path, targets: Sequence[str] = (), limit: int = 50) -> list[dict[str, Any]]:
    """The newest rows, of some targets or of all. Raises StorageFailed for a file that cannot be read."""
    import duckdb

    if not path.exists():
        return []
    named = f"AND target IN ({', '.join('?' for _ in targets)})" if targets else ""
    try:
        with duckdb.connect(":memory:") as connection:
            found = connection.execute(
                f"SELECT * FROM read_csv(?, header = true, all_varchar = false) WHERE true {named} "
                "ORDER BY time DESC LIMIT ?",
                [str(path), *targets, limit],
            )
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    except duckdb.Error as error:
        raise StorageFailed(f"{path.name} cannot be read.", str(error).splitlines()[0]) from None
