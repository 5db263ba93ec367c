"""One route a method of `engine.metrics.face.Metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, get, post
from litestar.types import ASGIApp
from msgspec import Struct

from api.answering.reply import Reply, as_json
from api.dialects.native.files import check_own
from api.dialects.native.reading import read
from engine.types import Dimension, ExportForm, MetricsQuery, MetricsRecord, Phase, SavedQuery

if TYPE_CHECKING:
    from api.hub import Hub


class AskedTraffic(Struct, frozen=True, kw_only=True):
    query: MetricsQuery = MetricsQuery()
    points: int = 120


class AskedGroups(Struct, frozen=True, kw_only=True):
    by: Dimension
    query: MetricsQuery = MetricsQuery()
    limit: int = 200


class AskedDistributions(Struct, frozen=True, kw_only=True):
    query: MetricsQuery = MetricsQuery()


class AskedSlowest(Struct, frozen=True, kw_only=True):
    query: MetricsQuery = MetricsQuery()
    by: Phase = "total"
    limit: int = 100


class AskedSql(Struct, frozen=True, kw_only=True):
    statement: str
    limit: int = 1000


class AskedExport(Struct, frozen=True, kw_only=True):
    statement: str
    form: ExportForm = "csv"


class AskedRecord(Struct, frozen=True, kw_only=True):
    record: MetricsRecord


class QueryName(Struct, frozen=True, kw_only=True):
    name: str


@post("/hearth/v1/metrics/traffic", status_code=200)
async def traffic(request: Request[Any, Any, Any]) -> ASGIApp:
    """Requests and machine over time."""
    call, asked = await read(request, AskedTraffic)
    return as_json(await call.hub.engine.metrics.traffic(asked.query, asked.points))


@post("/hearth/v1/metrics/groups", status_code=200)
async def groups(request: Request[Any, Any, Any]) -> ASGIApp:
    """The same in sums, by model, alias, adapter, client and others."""
    call, asked = await read(request, AskedGroups)
    return as_json(await call.hub.engine.metrics.groups(asked.query, asked.by, asked.limit))


@post("/hearth/v1/metrics/distributions", status_code=200)
async def distributions(request: Request[Any, Any, Any]) -> ASGIApp:
    """How each duration is spread."""
    call, asked = await read(request, AskedDistributions)
    return as_json(await call.hub.engine.metrics.distributions(asked.query))


@post("/hearth/v1/metrics/slowest", status_code=200)
async def slowest(request: Request[Any, Any, Any]) -> ASGIApp:
    """The requests that took longest."""
    call, asked = await read(request, AskedSlowest)
    return as_json(await call.hub.engine.metrics.slowest(asked.query, asked.by, asked.limit))


@post("/hearth/v1/metrics/sql", status_code=200)
async def sql(request: Request[Any, Any, Any]) -> ASGIApp:
    """Rows of one SELECT over the metrics."""
    call, asked = await read(request, AskedSql)
    return as_json(await call.hub.engine.metrics.sql(asked.statement, asked.limit))


@post("/hearth/v1/metrics/export", status_code=200)
async def export(request: Request[Any, Any, Any]) -> ASGIApp:
    """The same as a CSV or Parquet file."""
    call, asked = await read(request, AskedExport)
    data = await call.hub.engine.metrics.export(asked.statement, asked.form)
    return Reply(data, media_type=b"application/octet-stream")


@get("/hearth/v1/metrics/queries", status_code=200)
async def queries(request: Request[Any, Any, Any]) -> ASGIApp:
    """Statements under names."""
    hub: Hub = request.app.state["hub"]
    return as_json(await hub.engine.metrics.queries())


@post("/hearth/v1/metrics/save_query", status_code=200)
async def save_query(request: Request[Any, Any, Any]) -> ASGIApp:
    """Keep a statement under a name."""
    call, asked = await read(request, SavedQuery)
    await call.hub.engine.metrics.save_query(asked)
    return as_json({})


@post("/hearth/v1/metrics/drop_query", status_code=200)
async def drop_query(request: Request[Any, Any, Any]) -> ASGIApp:
    """Forget one."""
    call, asked = await read(request, QueryName)
    await call.hub.engine.metrics.drop_query(asked.name)
    return as_json({})


@post("/hearth/v1/metrics/record", status_code=200)
async def record(request: Request[Any, Any, Any]) -> ASGIApp:
    """Take a row of a job, an eval or a bench, from this user's own programs."""
    call, asked = await read(request, AskedRecord)
    check_own(call, "Rows of the metrics are written")
    await call.hub.engine.metrics.record(asked.record)
    return as_json({})


ROUTES = [
    traffic, groups, distributions, slowest, sql, export, queries, save_query, drop_query, record,
]  # fmt: skip
