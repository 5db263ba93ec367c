"""What is kept: so far the metrics of finished requests, in DuckDB, disposable."""

from __future__ import annotations

from engine.store.metrics import Metrics
from engine.store.rows import RequestRow, row_of

__all__ = ["Metrics", "RequestRow", "row_of"]
