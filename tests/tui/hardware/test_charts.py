"""Charts as text: what reaches how high, what is not known, and that every width is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tui import charts

SHARES = some.floats(0, 1)
VALUES = some.lists(some.none() | some.floats(0, 1e6), min_size=1, max_size=60)


def dots(lines: list[str], column: int) -> int:
    """How many dots a column of values has, from below, without a gap."""
    found = 0
    for line in reversed(lines):
        cell = line[column // 2]
        bits = 0 if cell == " " else ord(cell) - 0x2800
        order = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))[column % 2]
        for dot in order:
            if not bits & dot:
                return found
            found += 1
    return found


def test_an_area_is_as_high_as_its_values() -> None:
    lines = charts.area([0.0, 0.25, 0.5, 1.0, None, 2.0], 2, 1.0)
    assert [dots(lines, column) for column in range(6)] == [1, 2, 4, 8, 0, 8]
    assert lines[0][0] == " "


@given(VALUES, some.integers(1, 9), some.floats(0, 1e6))
def test_areas_fill_their_room_and_no_more(values: list[float | None], height: int, top: float) -> None:
    lines = charts.area(values, height, top)
    assert len(lines) == height and {len(line) for line in lines} == {(len(values) + 1) // 2}
    for column, value in enumerate(values):
        assert (dots(lines, column) == 0) == (value is None)
    assert len(charts.spark(values, top)) == len(values)


@given(some.lists(SHARES, max_size=4), some.integers(0, 80))
def test_bars_keep_their_width(shares: list[float], width: int) -> None:
    pieces = charts.stacked(shares, width)
    assert len("".join(pieces)) == width and len(pieces) == len(shares) + 1
    assert set(pieces[-1]) <= {charts.TRACK}
    if width and shares and shares[0] > 0:
        assert pieces[0], "whatever there is shows"


def test_parts_of_a_bar_stay_apart_without_colour() -> None:
    assert "".join(charts.stacked((0.25, 0.5), 8)) == "━━╍╍╍╍╌╌"


def test_columns_stand_on_the_ground() -> None:
    assert charts.columns([0.0, 0.5, 1.0], 2) == ["  █", "▁██"]


def test_resampling_takes_means_and_holds_for_a_while() -> None:
    points = [(0.0, 1.0), (5.0, 3.0), (10.0, 6.0), (90.0, 4.0), (100.0, 9.0), (-5.0, 7.0), (101.0, None)]
    assert charts.resampled(points, 0, 100, 10) == [2.0, 6.0, *[None] * 7, 6.5]
    assert charts.resampled(points, 0, 100, 10, hold=20)[:5] == [2.0, 6.0, 6.0, 6.0, None]
    assert charts.resampled([], 0, 100, 3) == [None] * 3


@pytest.mark.parametrize(
    ("values", "least", "top"),
    [
        ([], 10, 10),
        ([None, 3], 10, 10),
        ([14], 10, 20),
        ([92.4], 10, 100),
        ([100.1], 10, 200),
        ([260], 1, 500),
    ],
)
def test_the_top_of_a_scale_is_round(values: list[float | None], least: float, top: float) -> None:
    assert charts.ceiling(values, least) == top


@given(some.lists(some.floats(0, 1e9)), some.sampled_from([1.0, 10.0]))
def test_no_value_passes_the_top(values: list[float], least: float) -> None:
    assert charts.ceiling(values, least) >= max([*values, least])
