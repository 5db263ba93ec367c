"""Which models stay, and what worker deaths mean: decisions without clock or process."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.deaths import QUARANTINE_AT, WINDOW_NS, Deaths, try_again
from engine.runtime.residency import Resident, Verdict, admit, due, expiry, next_due

SECOND = 10**9


def idle(model: str, last_used: int, expires: int | None = None) -> Resident:
    return Resident(model, 0, last_used, expires)


def test_there_is_room_below_the_limit() -> None:
    assert admit([], 1) == Verdict(True)
    assert admit([Resident("a", 3, 0)], 2) == Verdict(True)


def test_the_idle_model_used_longest_ago_leaves() -> None:
    models = [idle("a", 30), idle("b", 10), Resident("c", 1, 5)]
    assert admit(models, 3) == Verdict(False, "b")


def test_a_model_in_use_never_leaves_and_one_on_its_way_out_is_waited_for() -> None:
    assert admit([Resident("a", 1, 0)], 1) == Verdict(False, None)
    assert admit([idle("a", 0), Resident("b", 0, 0, leaving=True)], 2) == Verdict(False, None)


def test_keep_alive_counts_from_the_end_and_negative_is_for_ever() -> None:
    assert expiry(5 * SECOND, 300.0) == 305 * SECOND
    assert expiry(5 * SECOND, 0.0) == 5 * SECOND
    assert expiry(5 * SECOND, -1.0) is None


def test_only_idle_models_expire() -> None:
    models = [idle("a", 0, 10), idle("b", 0, 20), Resident("c", 1, 0, 5), idle("d", 0, None)]
    assert due(models, 10) == ["a"]
    assert next_due(models) == 10
    assert next_due([Resident("c", 1, 0, 5)]) is None


residents = st.lists(
    st.builds(
        Resident,
        st.text("abc", min_size=1),
        st.integers(0, 2),
        st.integers(0, 99),
        st.none() | st.integers(0, 99),
        st.booleans(),
    ),
    max_size=6,
)


@given(residents, st.integers(1, 6))
def test_a_victim_is_always_idle_and_staying(models: list[Resident], most: int) -> None:
    verdict = admit(models, most)
    assert verdict.granted == (len(models) < most)
    if verdict.victim is not None:
        assert any(
            each.model == verdict.victim and each.references == 0 and not each.leaving for each in models
        )


@given(residents, st.integers(0, 99))
def test_something_is_due_exactly_when_its_moment_has_come(models: list[Resident], now: int) -> None:
    moment = next_due(models)
    assert bool(due(models, now)) == (moment is not None and moment <= now)


def test_three_deaths_in_ten_minutes_are_quarantine_until_the_oldest_is_forgotten() -> None:
    deaths = Deaths()
    for minute in range(QUARANTINE_AT):
        assert deaths.quarantined_for(minute * 60 * SECOND) == 0.0
        deaths.add(minute * 60 * SECOND)
    assert deaths.quarantined_for(120 * SECOND) == 480.0
    assert deaths.quarantined_for(WINDOW_NS) == 0.0


def test_a_request_is_tried_again_once_and_only_if_nothing_was_shown() -> None:
    assert try_again(1, 0)
    assert not try_again(1, 1)
    assert not try_again(2, 0)
