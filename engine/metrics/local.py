"""`LocalMetrics`: the metrics of this machine, asked on threads of their own, never on the engine's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from engine.checking import check
from engine.errors import InvalidRequest
from engine.metrics import console, distributions, export, groups, slowest, traffic
from engine.metrics.saved import SavedQueries
from engine.types import (
    Dimension,
    Distribution,
    ExportForm,
    MetricsQuery,
    MetricsRecord,
    Phase,
    SavedQuery,
    SlowRequest,
    SqlAnswer,
    Traffic,
    TrafficGroup,
)

if TYPE_CHECKING:
    import duckdb

    from engine.paths import Paths
    from engine.store.metrics import Metrics as Store

_T = TypeVar("_T")
MOST_POINTS = 2000
MOST_ROWS = 10_000


class LocalMetrics:
    """See `engine.metrics.face.Metrics`. `store` gives the metrics store, which is opened by the first question."""

    def __init__(self, store: Callable[[], Store], paths: Paths) -> None:
        self._store, self._saved = store, SavedQueries(paths)

    async def traffic(self, query: MetricsQuery, points: int = 120) -> Traffic:
        check(query)
        if not 2 <= points <= MOST_POINTS:
            raise InvalidRequest(f"`points` goes from 2 to {MOST_POINTS:,}.", param="points")
        return await self._read(lambda cursor: traffic.traffic(cursor, query, points))

    async def groups(self, query: MetricsQuery, by: Dimension, limit: int = 200) -> list[TrafficGroup]:
        check(query)
        return await self._read(lambda cursor: groups.groups(cursor, query, by, _bounded(limit)))

    async def distributions(self, query: MetricsQuery) -> list[Distribution]:
        check(query)
        return await self._read(lambda cursor: distributions.distributions(cursor, query))

    async def slowest(self, query: MetricsQuery, by: Phase = "total", limit: int = 100) -> list[SlowRequest]:
        check(query)
        return await self._read(lambda cursor: slowest.slowest(cursor, query, by, _bounded(limit)))

    async def sql(self, statement: str, limit: int = 1000) -> SqlAnswer:
        return await self._read(
            lambda cursor: console.answer(cursor, statement, limit), seconds=console.SECONDS
        )

    async def export(self, statement: str, form: ExportForm) -> bytes:
        return await self._read(
            lambda cursor: export.exported(cursor, statement, form), seconds=export.SECONDS
        )

    async def queries(self) -> list[SavedQuery]:
        return await asyncio.to_thread(self._saved.all)

    async def save_query(self, query: SavedQuery) -> None:
        check(query)
        await asyncio.to_thread(self._saved.save, query)

    async def drop_query(self, name: str) -> None:
        await asyncio.to_thread(self._saved.drop, name)

    async def record(self, record: MetricsRecord) -> None:
        check(record)
        self._store().record(record)

    async def _read(
        self, work: Callable[[duckdb.DuckDBPyConnection], _T], *, seconds: float | None = None
    ) -> _T:
        def there() -> _T:
            store = self._store()
            return store.read(work) if seconds is None else store.read(work, seconds=seconds)

        return await asyncio.to_thread(there)


def _bounded(limit: int) -> int:
    return max(1, min(MOST_ROWS, limit))
