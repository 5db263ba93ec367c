"""Which rows of the table `requests` a question is about, as SQL with parameters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from engine.types import MetricsQuery

if TYPE_CHECKING:
    import duckdb

LEAST_S = 1.0
"""A span is at least this long."""
SPAN = "time >= make_timestamp(?::BIGINT) AND time < make_timestamp(?::BIGINT)"


class Selected(Struct, frozen=True):
    """A span of Unix seconds, the condition that rows meet, and its parameters."""

    since: float
    until: float
    where: str
    values: tuple[Any, ...]
    span: tuple[int, int]
    """The parameters of `SPAN`."""


def selected(cursor: duckdb.DuckDBPyConnection, query: MetricsQuery) -> Selected:
    """What `query` means now."""
    until = query.until if query.until is not None else time.time() + 1e-3
    since = until - query.seconds if query.seconds is not None else _first(cursor, until)
    span = round(since * 1e6), round(until * 1e6)
    parts = [SPAN]
    names: list[Any] = []
    for column in ("model", "alias", "adapter", "client"):
        if (name := getattr(query, column)) is not None:
            parts.append(f"{column} = ?")
            names.append(name)
    return Selected(since, max(until, since + LEAST_S), " AND ".join(parts), (*span, *names), span)


def _first(cursor: duckdb.DuckDBPyConnection, until: float) -> float:
    (first,) = cursor.execute("SELECT epoch(min(time)) FROM requests").fetchall()[0]
    return min(first, until - LEAST_S) if first is not None else until - LEAST_S
