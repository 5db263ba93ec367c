"""Requests by the million, by formulas that SQL and numpy compute alike, so that every answer can be checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.store import Metrics
from engine.store.rows import COLUMNS

BEGAN = 1_760_000_000.0
"""Unix seconds of the first request."""
APART = 7.5
"""Seconds between two of them."""
SAMPLES_APART = 30.0


def write(path: Path, count: int, samples: int = 0) -> None:
    """`count` requests and `samples` samples of the machine, in a metrics file of its own."""
    import duckdb

    store = Metrics(path, path.parent / "spool")
    store.read(lambda cursor: cursor.execute("SELECT count(*) FROM requests").fetchall())
    store.close()
    made = {
        "id": "'r' || i",
        "time": f"make_timestamp(({BEGAN * 1e6} + i * {APART * 1e6})::BIGINT)",
        "client": "'client' || (i % 12)",
        "source": "CASE WHEN i % 3 = 0 THEN 'openai' ELSE 'ollama' END",
        "priority": "'api'",
        "model": "'model' || (i % 7)",
        "alias": "CASE WHEN i % 5 = 0 THEN 'alias' || (i % 4) ELSE '' END",
        "adapter": "CASE WHEN i % 6 = 0 THEN 'adapter' || (i % 3) ELSE '' END",
        "backend": "'llama'",
        "reason": "CASE WHEN i % 50 = 7 THEN 'failed' WHEN i % 50 = 8 THEN 'cancelled' ELSE 'finished' END",
        "error_code": "CASE WHEN i % 50 = 7 THEN 'queue_full' END",
        "prompt_tokens": "100 + i * 31 % 4001",
        "cached_tokens": "i * 17 % 101",
        "completion_tokens": "CASE WHEN i % 50 = 7 THEN 0 ELSE 2 + i * 13 % 397 END",
        "queue_ms": "i * 7919 % 10007 / 16",
        "load_ms": "CASE WHEN i % 100 = 3 THEN 1000 + i % 977 ELSE 0 END",
        "prefill_ms": "CASE WHEN i % 50 = 7 THEN 0 ELSE 1 + i * 6007 % 8009 / 8 END",
        "decode_ms": "CASE WHEN i % 50 = 7 THEN 0 ELSE 4 + i * 4001 % 30011 / 4 END",
        "ttft_ms": "CASE WHEN i % 50 = 7 THEN 0 ELSE 2 + i * 5003 % 90007 / 32 END",
        "total_ms": "10 + i * 3001 % 700001 / 16",
        "context": "8192",
        "choices": "1",
        "constrained": "false",
        "gaps": "[(1000 + i % 500)::USMALLINT, 2000::USMALLINT]",
    }
    rest = {"VARCHAR": "''", "BIGINT": "0", "DOUBLE": "0", "BOOLEAN": "false", "USMALLINT[]": "[]"}
    columns = [f"{made.get(name, rest.get(kind))} AS {name}" for name, kind in COLUMNS["requests"].items()]
    with duckdb.connect(str(path), config={"threads": "1", "memory_limit": "512MB"}) as connection:
        connection.execute(
            f"INSERT INTO requests BY NAME SELECT {', '.join(columns)} FROM range({count}) rows(i)"
        )
        connection.execute(
            "INSERT INTO hardware_samples BY NAME SELECT "
            f"make_timestamp(({BEGAN * 1e6} + i * {SAMPLES_APART * 1e6})::BIGINT) AS time, 0.25 AS cpu, "
            "50 + i % 11 AS power, 2**30 * (4 + i % 3) AS memory_used, 2**34 AS memory_total, "
            f"2**29 AS resident FROM range({samples}) rows(i)"
        )


def columns(count: int) -> dict[str, Any]:
    """The same requests as arrays, times in Unix seconds; what a request does not have is NaN."""
    i = np.arange(count, dtype=np.int64)
    failed = i % 50 == 7

    def unless_failed(values: Any) -> Any:
        return np.where(failed, np.nan, values)

    return {
        "time": BEGAN + i * APART,
        "model": i % 7,
        "client": i % 12,
        "failed": failed,
        "cancelled": i % 50 == 8,
        "prompt_tokens": 100 + i * 31 % 4001,
        "cached_tokens": i * 17 % 101,
        "completion_tokens": np.where(failed, 0, 2 + i * 13 % 397),
        "queue": unless_failed(i * 7919 % 10007 / 16),
        "load": np.where(i % 100 == 3, 1000 + i % 977, np.nan),
        "prefill": unless_failed(1 + i * 6007 % 8009 / 8),
        "decode": unless_failed(4 + i * 4001 % 30011 / 4),
        "ttft": unless_failed(2 + i * 5003 % 90007 / 32),
        "total": 10 + i * 3001 % 700001 / 16,
    }
