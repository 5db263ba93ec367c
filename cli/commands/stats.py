"""`hearth stats`: how much was asked, how fast it was answered, and where the time went."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cli.stats.gathered import Gathered
    from engine import Engine
    from engine.types import MetricsQuery, SqlAnswer

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
DIMENSIONS = ("model", "alias", "adapter", "client", "source", "backend", "priority")
_DISPENSABLE = ("STDEV", "LEAST", "MOST", "MEAN", "READ", "FAILED", "CACHED", "P95")


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def stats(
    context: typer.Context,
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="How far back: 90m, 24h, 7d; `all` for everything that is kept."),
    ] = "24h",
    by: Annotated[
        str,
        typer.Option(
            metavar="WHAT", help="Tell apart by model, alias, adapter, client, source, backend, priority."
        ),
    ] = "model",
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only requests to this model.")] = None,
    alias: Annotated[str | None, typer.Option(metavar="NAME", help="Only requests by this alias.")] = None,
    adapter: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only requests with this adapter.")
    ] = None,
    client: Annotated[str | None, typer.Option(metavar="NAME", help="Only requests of this client.")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write a report of throughput and latency: a picture and a page.")
    ] = False,
    sql: Annotated[
        str | None,
        typer.Option(metavar="SELECT", help="Print the rows of a statement over the metrics instead."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to: .png or .html of a report, else both; .csv or .parquet of --sql."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print every detail as JSON.")] = False,
) -> None:
    """Say how much was asked, how fast it was answered, and where the time went.

    Everything that this machine was asked counts: by the chat, by jobs, by other programs. A statement reads the tables
    requests, model_events, hardware_samples, gpu_samples, jobs, evals and bench, and nothing else.
    """
    from cli.errors import guarded

    def work() -> int:
        from engine.errors import InvalidRequest
        from engine.types import MetricsQuery

        if by not in DIMENSIONS:
            raise InvalidRequest(
                f"Requests cannot be told apart by {by!r}.",
                fix=f"There are: {', '.join(DIMENSIONS)}.",
                param="by",
            )
        query = MetricsQuery(
            seconds=_seconds(since), model=model, alias=alias, adapter=adapter, client=client
        )
        if sql is not None:
            return _with(context, lambda engine: _rows(engine, sql, out, json=json))
        return _with(context, lambda engine: _told(engine, query, by, report=report, out=out, json=json))

    raise typer.Exit(guarded(work))


def _with(context: typer.Context, ask: Any) -> int:
    from cli.engines import opened
    from cli.signals import leave_on_signals

    leave_on_signals()
    # Whoever has the file answers: the server where one runs.
    engine = opened(context.obj, context.obj.load().settings, computes=True)
    with asyncio.Runner() as runner:
        try:
            return int(runner.run(ask(engine)))
        finally:
            runner.run(engine.close())


async def _told(
    engine: Engine, query: MetricsQuery, by: Any, *, report: bool, out: Path | None, json: bool
) -> int:
    from cli.commands.cache import print_json
    from cli.stats.gathered import gathered

    found = await gathered(engine.metrics, query, by)
    if json:
        print_json(found)
    else:
        show(found)
    if report:
        for path in write_report(found, out):
            print(f"Report: {path}", file=sys.stderr)
    return 0


def show(found: Gathered) -> None:
    """A line of sums, then what there is by group, and the percentiles."""
    from cli.columns import room, within
    from cli.stats import tables
    from cli.terminal_text import dim, paint

    only = tables.narrowed(found)
    print(paint(tables.headline(found), "1", sys.stdout) + (dim(f"  ({only})", sys.stdout) if only else ""))
    if not found.groups:
        print(
            dim("Nothing was asked in this time. --since all goes back to the first request.", sys.stderr),
            file=sys.stderr,
        )
        return
    print()
    print(
        within(
            tables.group_rows(found),
            room(),
            [each for each in _DISPENSABLE if each in tables.group_rows(found)[0]],
        )
    )
    print()
    rows = tables.spread_rows(found)
    print(within(rows, room(), [each for each in _DISPENSABLE if each in rows[0]]))


def write_report(found: Gathered, out: Path | None) -> list[Path]:
    """Write the report as `out` says; the files. Raises StorageFailed, and InvalidRequest for another suffix."""
    from cli.stats.page import page
    from cli.stats.picture import png
    from engine.errors import InvalidRequest
    from evals.report.writing import write_whole

    made = {".png": png, ".html": page}
    base = out if out is not None else Path(f"hearth-stats-{time.strftime('%Y%m%d-%H%M%S')}")
    if base.suffix and base.suffix.lower() not in made:
        raise InvalidRequest(
            f"There is no report of the kind {base.suffix}.", fix="There are .png and .html.", param="out"
        )
    paths = [base] if base.suffix else [base.with_suffix(suffix) for suffix in made]
    for path in paths:
        write_whole(path, made[path.suffix.lower()](found))
    return paths


async def _rows(engine: Engine, statement: str, out: Path | None, *, json: bool) -> int:
    from cli.commands.cache import print_json
    from engine.errors import InvalidRequest

    if out is None:
        answer = await engine.metrics.sql(statement, 10_000)
        if json:
            print_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
        else:
            _show_rows(answer)
        return 0
    form = out.suffix.lower()[1:]
    if form not in ("csv", "parquet"):
        raise InvalidRequest(
            f"Rows cannot be written as {out.suffix or 'a file without a suffix'}.",
            fix="There are .csv and .parquet.",
            param="out",
        )
    from evals.report.writing import write_whole

    data = await engine.metrics.export(statement, "csv" if form == "csv" else "parquet")
    await asyncio.to_thread(write_whole, out, data)
    print(f"Written: {out}", file=sys.stderr)
    return 0


def _show_rows(answer: SqlAnswer) -> None:
    from cli.columns import columns

    rows = [
        answer.columns,
        *(tuple("-" if value is None else str(value) for value in row) for row in answer.rows),
    ]
    print(columns(rows))
    if answer.more:
        print("There are more rows: --out FILE.csv writes all.", file=sys.stderr)


def _seconds(text: str) -> float | None:
    from engine.errors import InvalidRequest
    from engine.settings.duration import parse_duration

    if text.strip().lower() == "all":
        return None
    try:
        found = parse_duration(text)
        if not 0 < found <= 1e10:
            raise ValueError("It must be above 0.")
        return found
    except ValueError as error:
        raise InvalidRequest(
            f"--since cannot be {text!r}.", str(error), "Write 90m, 24h, 7d or all.", param="since"
        ) from None
