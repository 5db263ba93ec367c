"""The part of `LocalEngine` that keeps and tells its metrics: see `engine.face.Engine.metrics`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.local_parts import LocalParts
from engine.metrics.local import LocalMetrics as AskedMetrics
from engine.store.rows import row_of

if TYPE_CHECKING:
    from engine.runtime.ticket import Ticket
    from engine.store.metrics import Metrics


class LocalMetrics(LocalParts):
    """What `LocalEngine` inherits."""

    def _open_metrics(self) -> None:
        """Get ready; nothing is opened."""
        self._metrics: Metrics | None = None
        self.metrics = AskedMetrics(self._store, self._paths)

    async def request_log(self, limit: int = 100) -> list[dict[str, object]]:
        return await asyncio.to_thread(self._store().recent, limit)

    async def model_log(self, limit: int = 100) -> list[dict[str, object]]:
        return await asyncio.to_thread(self._store().recent, limit, "model_events")

    def _store(self) -> Metrics:
        with self._starting:
            if self._metrics is None:
                from engine.store.metrics import Metrics

                self._metrics = Metrics(
                    self._paths.metrics_file,
                    self._paths.spool,
                    keep=lambda: (self._settings.metrics.keep, self._settings.metrics.keep_samples),
                )
            return self._metrics

    def _record_ended(self, ticket: Ticket) -> None:
        """Keep the row of a request that has ended."""
        assert ticket.terminal is not None
        self._store().record(
            row_of(
                ticket.request,
                ticket.terminal,
                admitted=ticket.admitted,
                gaps_ns=ticket.gaps,
                request_id=ticket.stream.id,
                alias=ticket.target.name if ticket.target is not None else "",
            )
        )
