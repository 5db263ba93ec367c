"""The Metrics workspace over a real file of generated requests: every view, narrowing, statements, files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input

from engine.metrics.local import LocalMetrics
from engine.paths import resolve
from engine.store import Metrics
from engine.types import MachinePoint, MetricsQuery, SlowRequest, Traffic, TrafficPoint
from tests.engine.metrics import generated
from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import read, shown, until
from tui.app import HearthApp
from tui.board import board
from tui.recorded import RecordedEngine
from tui.screens.metrics.console import SavedDialogue, Statement
from tui.screens.metrics.overview import cards
from tui.screens.metrics.screen import MetricsScreen
from tui.screens.metrics.views import detail
from tui.workspaces import WORKSPACES

MakeApp = Callable[..., HearthApp]
HERE = tuple(each for each in WORKSPACES if each.name in ("metrics", "models"))
COUNT = 2000


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[LocalMetrics]:
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o700)
    generated.write(folder / "metrics.duckdb", COUNT, samples=200)
    store = Metrics(folder / "metrics.duckdb", folder / "spool", keep=lambda: (0, 0))
    yield LocalMetrics(lambda: store, resolve({"HEARTH_HOME": str(folder)}))
    store.close()


@pytest.fixture
def measured(metrics: LocalMetrics) -> RecordedEngine:
    engine = fake_engine()
    engine.metrics = metrics  # type: ignore[assignment]
    return engine


async def at_metrics(pilot: Pilot[None], app: HearthApp) -> MetricsScreen:
    app.switch_mode("metrics")
    await until(pilot, lambda: isinstance(app.screen, MetricsScreen) and app.screen.is_mounted)
    screen = app.screen
    assert isinstance(screen, MetricsScreen)
    screen.span = None
    screen.action_refresh_now()
    await until(pilot, lambda: "2.0k requests" in shown(app))
    return screen


async def test_every_view_tells_of_the_requests(make_app: MakeApp, measured: RecordedEngine) -> None:
    app = make_app(engine=measured, workspaces=HERE)
    async with app.run_test(size=(130, 40)) as pilot:
        screen = await at_metrics(pilot, app)
        for word in ("Tokens", "First token", "Requests", "Queue", "Prompt cache", "Memory", "Energy", "Wh"):
            assert word in shown(app), word
        await pilot.press("right")
        await until(pilot, lambda: "model6" in shown(app))
        assert "first p95" in shown(app)
        await pilot.press("b", "b", "b")
        await until(pilot, lambda: "client11" in shown(app))
        await pilot.press("enter", "right")
        await until(pilot, lambda: "waiting in line" in shown(app))
        (narrowed,) = screen.only.items()
        assert narrowed[0] == "client" and f"client {narrowed[1]}" in read(app)
        await pilot.press("right")
        await until(pilot, lambda: "slowest by total" in read(app) and "✓ finished" in shown(app))
        assert "prefill" in shown(app) and "in all" in shown(app), "the waterfall of the first one"
        await pilot.press("b")
        await until(pilot, lambda: "slowest by ttft" in read(app))
        await pilot.press("escape")
        await until(pilot, lambda: not screen.only and bool(screen.slow) and "✓ finished" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: '"ttft"' in app.clipboard)


async def test_statements_are_run_refused_saved_and_written_to_files(
    make_app: MakeApp, measured: RecordedEngine, metrics: LocalMetrics, tmp_path: Path
) -> None:
    app = make_app(engine=measured, workspaces=HERE)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await at_metrics(pilot, app)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.focused, Statement))
        statement = screen.query_one(Statement)
        statement.load_text("SELECT client, count(*) AS asked FROM requests GROUP BY client ORDER BY client")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "12 rows" in shown(app) and "client11" in shown(app))
        statement.load_text("DELETE FROM requests")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "of the kind DELETE" in read(app))
        statement.load_text("SELECT 42 AS answer")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"deep", "enter")
        async with asyncio.timeout(60):
            while "deep" not in [query.name for query in await metrics.queries()]:
                await pilot.pause(0.02)
        await pilot.press("ctrl+f")
        await until(pilot, lambda: isinstance(app.screen, SavedDialogue))
        await pilot.press("end", "enter")
        await until(pilot, lambda: "1 row ·" in shown(app) and "answer" in shown(app))
        await pilot.press("escape", "enter")
        await until(pilot, lambda: screen.has_class("-opened"))
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(app.focused, Input))
        file = tmp_path / "rows.parquet"
        app.focused.value = str(file)  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: file.exists() and file.stat().st_size > 0)
        assert file.read_bytes()[:4] == b"PAR1" and os.stat(file).st_mode & 0o777 == 0o600


async def test_what_is_exported_is_what_is_shown(
    make_app: MakeApp, measured: RecordedEngine, metrics: LocalMetrics
) -> None:
    app = make_app(engine=measured, workspaces=HERE)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await at_metrics(pilot, app)
        screen.only = {"client": "it's", "model": "model1"}
        screen.view = "slow"
        assert (await metrics.sql(screen.export_statement())).rows == ()
        screen.only = {"model": "model1"}
        found = await metrics.sql(screen.export_statement(), 5000)
        assert len(found.rows) == len(range(1, COUNT, 7))
        totals = [row[found.columns.index("total_ms")] for row in found.rows]
        assert totals == sorted(totals, reverse=True)


async def test_without_requests_it_says_what_will_be_here(make_app: MakeApp) -> None:
    app = make_app(engine=fake_engine(), workspaces=HERE)
    async with app.run_test(size=(80, 24)) as pilot:
        app.switch_mode("metrics")
        await until(pilot, lambda: "No request has ended in the last 24 h." in read(app))
        await pilot.press("right")
        await until(pilot, lambda: "shows a longer time" in read(app))
        for _ in range(6):
            await pilot.press("plus")
        await until(pilot, lambda: "Nothing has been asked yet." in read(app))


def test_cards_keep_to_their_room_and_know_what_was_not_measured() -> None:
    traffic = Traffic(
        since=0.0,
        until=3600.0,
        step=60.0,
        points=(TrafficPoint(t_unix=600.0, requests=2, failed=2),),
        machine=(MachinePoint(t_unix=600.0, memory_used=2**30),),
    )
    said = {card.title: card for card in cards(traffic)}
    assert said["Requests"].figures[0].level == "warn"
    assert said["Energy"].remarks and said["First token"].figures[0].text == "–"
    for width in (20, 40, 80, 200):
        lines = board(cards(traffic), width, 24, now=3600.0, span=3600.0)
        assert all(line.cell_length <= width for line in lines)
    quiet = replace(traffic, points=(), machine=())
    assert board(cards(quiet), 80, 20, now=3600.0, span=3600.0)


def test_a_request_in_full_has_no_control_codes() -> None:
    request = SlowRequest(
        id="a\x1b[2J", t_unix=0.0, model="m\x1b]0;x\x07", client="c\r\n", total=1.0, decode=0.5
    )
    text = "\n".join(line.plain for line in detail(request, 60))
    assert "\x1b" not in text and "\x07" not in text and "decode" in text


async def test_the_recorded_metrics_answer_as_the_real_ones_do(metrics: LocalMetrics) -> None:
    from tui.recorded_metrics import RecordedMetrics

    recorded = RecordedMetrics()
    real = {name for name in dir(metrics) if not name.startswith("_")}
    assert real <= set(dir(recorded))
    assert [each.measure for each in await recorded.distributions(MetricsQuery())] == [
        each.measure for each in await metrics.distributions(MetricsQuery())
    ]
