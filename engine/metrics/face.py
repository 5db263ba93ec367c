"""The face of the metrics, as `engine.metrics` gives it; a part of `engine.face`."""

from __future__ import annotations

from typing import Protocol

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


class Metrics(Protocol):
    """May be called from any loop. Calls answer for everything that had ended when they began.

    They raise `engine.errors.StorageFailed` where the file cannot be read, InvalidRequest for values out of bounds.
    """

    async def traffic(self, query: MetricsQuery, points: int = 120) -> Traffic:
        """Requests and machine over time, in about `points` steps (2 to 2,000)."""
        ...

    async def groups(self, query: MetricsQuery, by: Dimension, limit: int = 200) -> list[TrafficGroup]:
        """The same in sums, told apart by `by`, those with the most requests first."""
        ...

    async def distributions(self, query: MetricsQuery) -> list[Distribution]:
        """How each duration is spread, exactly."""
        ...

    async def slowest(self, query: MetricsQuery, by: Phase = "total", limit: int = 100) -> list[SlowRequest]:
        """The requests that took longest, or whose `by` did, those first."""
        ...

    async def sql(self, statement: str, limit: int = 1000) -> SqlAnswer:
        """Rows of one SELECT, which can read these tables and nothing else; it has 10 seconds and 10,000 rows at most.

        Raises InvalidRequest for what is no SELECT, is wrong, or wants to write or reach files, and
        DeadlineExceeded.
        """
        ...

    async def export(self, statement: str, form: ExportForm) -> bytes:
        """The same as a file, with a minute and 1,000,000 rows at most. Raises as `sql`."""
        ...

    async def queries(self) -> list[SavedQuery]:
        """Statements under names: those that come with Hearth, then a person's own, by name."""
        ...

    async def save_query(self, query: SavedQuery) -> None:
        """Keep a statement; one of that name is replaced. Raises InvalidRequest for a name that comes with Hearth."""
        ...

    async def drop_query(self, name: str) -> None:
        """Forget one. Raises InvalidRequest where there is none, or it comes with Hearth."""
        ...

    async def record(self, record: MetricsRecord) -> None:
        """Take a row of a job, an eval or a bench; nothing is raised where it cannot be kept."""
        ...
