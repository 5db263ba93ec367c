"""What is kept: the metrics of requests and models, in DuckDB, and what was learnt of model files; all disposable."""

from __future__ import annotations

from engine.store.metrics import Metrics
from engine.store.rows import ModelEventRow, RequestRow, row_of

__all__ = ["Metrics", "ModelEventRow", "RequestRow", "row_of"]
