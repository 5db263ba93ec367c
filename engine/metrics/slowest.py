"""The requests that took longest, and where their time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from engine.errors import InvalidRequest
from engine.metrics.selecting import selected
from engine.types import MetricsQuery, Phase, SlowRequest

if TYPE_CHECKING:
    import duckdb

PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
_SAID: Final = tuple(name for name in SlowRequest.__struct_fields__ if name not in ("t_unix", *PHASES))
_SLOWEST: Final = (
    f"SELECT epoch(time) AS t_unix, {', '.join(_SAID)}, "
    + ", ".join(f"{phase}_ms / 1e3 AS {phase}" for phase in PHASES)
    + " FROM requests WHERE {where} ORDER BY {by}_ms DESC, time DESC LIMIT ?"
)


def slowest(
    cursor: duckdb.DuckDBPyConnection, query: MetricsQuery, by: Phase, limit: int
) -> list[SlowRequest]:
    """Those whose `by` took longest first. Raises InvalidRequest for a phase that is none."""
    if by not in PHASES:
        raise InvalidRequest(
            f"Requests have no phase {by!r}.", fix=f"There are: {', '.join(PHASES)}.", param="by"
        )
    meant = selected(cursor, query)
    rows = cursor.execute(_SLOWEST.format(where=meant.where, by=by), [*meant.values, limit])
    names = [column[0] for column in rows.description or ()]
    return [_request(dict(zip(names, values, strict=True))) for values in rows.fetchall()]


def _request(said: dict[str, Any]) -> SlowRequest:
    # Columns that an earlier version did not have are NULL.
    return SlowRequest(**{name: value for name, value in said.items() if value is not None})
