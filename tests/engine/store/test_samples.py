"""Samples of the machine in the metrics file: what they are read back as, their age, and files of earlier schemas."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.store import Metrics, RequestRow
from engine.store.rows import COLUMNS, SCHEMA_VERSION, hardware_rows, points_of
from engine.types import GpuPoint, HardwarePoint

GPUS = (
    GpuPoint(device="nvidia0", name="RTX", busy=0.5, memory_used=6, memory_total=8, temperature=60.0),
    GpuPoint(device="nvidia1", name="RTX", power=120.5),
)
NOW = float(int(time.time()) // 60 * 60)
POINT = HardwarePoint(
    t_unix=NOW - 60,
    cpu=0.25,
    load=1.5,
    memory_used=2**33,
    memory_total=2**34,
    models=2,
    resident=2**31,
    decode_rate=42.5,
    gpus=GPUS,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def metrics(home: Path) -> Iterator[Metrics]:
    opened = Metrics(home / "metrics.duckdb", home / "spool")
    yield opened
    opened.close()


def keep(metrics: Metrics, *points: HardwarePoint) -> None:
    for point in points:
        for row in hardware_rows(point):
            metrics.record(row)
    metrics.flush()


def kept(metrics: Metrics, seconds: float = 3600, step: float = 1) -> list[HardwarePoint]:
    return points_of(metrics.series(NOW - seconds, step))


def test_a_sample_comes_back_whole_with_its_gpus(metrics: Metrics) -> None:
    keep(metrics, POINT)
    assert kept(metrics) == [POINT]


def test_what_is_older_than_was_asked_for_stays_out(metrics: Metrics) -> None:
    keep(metrics, POINT, replace(POINT, t_unix=NOW - 7200))
    assert kept(metrics) == [POINT]
    assert [point.t_unix for point in kept(metrics, 8000)] == [NOW - 7200, NOW - 60]


def test_a_long_time_is_told_in_means(metrics: Metrics) -> None:
    points = [replace(POINT, t_unix=NOW - 60 + second, cpu=second / 100) for second in range(60)]
    keep(metrics, *points)
    (first, second) = kept(metrics, step=30)
    assert (first.t_unix, second.t_unix) == (NOW - 60, NOW - 30)
    assert first.cpu == pytest.approx(sum(range(30)) / 3000)
    assert second.gpus == GPUS


def test_samples_are_dropped_after_a_month_and_requests_are_not(metrics: Metrics) -> None:
    old = NOW - 31 * 86_400
    metrics.record(RequestRow(id="old", time=old))
    keep(metrics, replace(POINT, t_unix=old), POINT)
    assert kept(metrics, 40 * 86_400) == [POINT]
    assert metrics.recent()[0]["id"] == "old"


def test_how_long_rows_are_kept_can_be_set(home: Path) -> None:
    day = 86_400.0
    for keep_for, left in (((0.0, 0.0), ["new", "old"]), ((2 * day, day), ["new"])):
        metrics = Metrics(home / "metrics.duckdb", home / "spool", keep=lambda keep_for=keep_for: keep_for)
        metrics.record(RequestRow(id="old", time=NOW - 3 * day))
        metrics.flush()
        metrics.record(RequestRow(id="new", time=NOW))
        metrics.close()
        metrics = Metrics(home / "metrics.duckdb", home / "spool", keep=lambda: (0.0, 0.0))
        assert sorted({str(row["id"]) for row in metrics.recent()}) == left
        metrics.close()


def test_a_file_of_the_first_schema_is_brought_up_to_date_with_its_rows(home: Path) -> None:
    import duckdb

    home.mkdir(mode=0o700)
    with duckdb.connect(str(home / "metrics.duckdb")) as connection:
        for table in ("requests", "model_events"):
            columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS[table].items() if name != "alias")
            connection.execute(f"CREATE TABLE {table} ({columns})")
        connection.execute("CREATE TABLE spooled_files (name VARCHAR)")
        connection.execute("CREATE TABLE schema_version AS SELECT 1::INTEGER AS version")
        before = datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None)
        connection.execute("INSERT INTO requests (id, time, gaps) VALUES ('kept', ?, [1])", [before])
    metrics = Metrics(home / "metrics.duckdb", home / "spool")
    keep(metrics, POINT)
    metrics.record(RequestRow(id="new", time=NOW + 60, alias="bard"))
    assert [(row["id"], row["alias"]) for row in metrics.recent()] == [("new", "bard"), ("kept", "")]
    assert kept(metrics) == [POINT]
    metrics.close()
    with duckdb.connect(str(home / "metrics.duckdb")) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]
    assert not list(home.glob("*.damaged-*"))


def test_a_process_without_the_file_shows_its_own_samples_and_spools_none(
    metrics: Metrics, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    other = Metrics(tmp_path / "file" / "metrics.duckdb", tmp_path / "spool")
    keep(other, POINT)
    other.record(RequestRow(id="mine", time=NOW))
    assert kept(other) == [POINT]
    assert other.counts() | {"recorded": 0} == {
        "recorded": 0, "written": 0, "spooled": 1, "imported": 0, "dropped": 3, "waiting": 0
    }  # fmt: skip
    other.close()
