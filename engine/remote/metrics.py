"""The metrics of the other side: see `engine.metrics.face.Metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

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
    from engine.remote.asking import Asking

_T = TypeVar("_T")


class RemoteMetrics:
    """Every call is one request."""

    def __init__(self, engine: Asking) -> None:
        self._engine = engine

    async def traffic(self, query: MetricsQuery, points: int = 120) -> Traffic:
        return await self._ask("traffic", Traffic, {"query": query, "points": points})

    async def groups(self, query: MetricsQuery, by: Dimension, limit: int = 200) -> list[TrafficGroup]:
        return await self._ask("groups", list[TrafficGroup], {"query": query, "by": by, "limit": limit})

    async def distributions(self, query: MetricsQuery) -> list[Distribution]:
        return await self._ask("distributions", list[Distribution], {"query": query})

    async def slowest(self, query: MetricsQuery, by: Phase = "total", limit: int = 100) -> list[SlowRequest]:
        return await self._ask("slowest", list[SlowRequest], {"query": query, "by": by, "limit": limit})

    async def sql(self, statement: str, limit: int = 1000) -> SqlAnswer:
        return await self._ask("sql", SqlAnswer, {"statement": statement, "limit": limit})

    async def export(self, statement: str, form: ExportForm) -> bytes:
        async def there() -> bytes:
            return await self._engine._link.fetch("metrics/export", {"statement": statement, "form": form})

        return await self._engine._on_loop(there())

    async def queries(self) -> list[SavedQuery]:
        found: list[SavedQuery] = await self._engine._get("metrics/queries", list[SavedQuery])
        return found

    async def save_query(self, query: SavedQuery) -> None:
        await self._ask("save_query", dict, query)

    async def drop_query(self, name: str) -> None:
        await self._ask("drop_query", dict, {"name": name})

    async def record(self, record: MetricsRecord) -> None:
        await self._ask("record", dict, {"record": record})

    async def _ask(self, path: str, kind: type[_T], body: object) -> _T:
        found: _T = await self._engine._post(f"metrics/{path}", kind, body, patient=True)
        return found
