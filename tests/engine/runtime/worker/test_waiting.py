"""Who comes next, without clock or backend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import QueueFull
from engine.runtime.limits import Limits
from engine.runtime.worker.scheduler import RANK
from engine.runtime.worker.waiting import (
    LOOK_AHEAD,
    MOST_PASSES,
    Accounts,
    Forecast,
    Waiting,
    admit,
    check_room,
    in_order,
)
from engine.types import Class

SECOND = 10**9


def one(key: int, priority: Class = "api", **more: object) -> Waiting:
    return Waiting(key=(key, 0), priority=priority, **({"order": key} | more))  # type: ignore[arg-type]


def keys(waiting: list[Waiting], served: dict[str, float] | None = None, now: int = 0) -> list[int]:
    return [each.key[0] for each in in_order(waiting, served or {}, now)]


def test_classes_come_first_then_age() -> None:
    assert keys([one(1, "batch"), one(2), one(3, "interactive"), one(4)]) == [3, 2, 4, 1]


def test_who_has_waited_long_counts_as_one_class_better_and_no_more() -> None:
    waiting = [one(1, "batch"), one(2, "api", since=20 * SECOND), one(3, "interactive", since=40 * SECOND)]
    assert keys(waiting, now=24 * SECOND) == [3, 2, 1]
    assert keys(waiting, now=31 * SECOND) == [2, 3, 1], "the api's has aged, batch is level with api now"
    assert keys([one(1, "batch"), one(2, "api", since=30 * SECOND)], now=31 * SECOND) == [1, 2]
    assert keys([one(1, "batch"), one(2, "interactive")], now=9999 * SECOND) == [2, 1]


def test_a_client_with_many_requests_does_not_keep_others_waiting() -> None:
    """Twenty of one client, then one of another: the latter comes second, not last."""
    waiting = [one(key, client="flood", cost=100) for key in range(20)]
    assert keys([*waiting, one(20, client="other", cost=100)])[:3] == [0, 20, 1]


def test_who_was_served_less_comes_first() -> None:
    waiting = [one(1, client="had much"), one(2, client="had little")]
    assert keys(waiting, {"had much": 5000.0, "had little": 10.0}) == [2, 1]


def test_a_newcomer_begins_level_and_cannot_save_up() -> None:
    accounts = Accounts()
    accounts.settle(["old"])
    accounts.charge("old", 10_000)
    accounts.settle(["old", "new"])
    assert accounts.served["new"] == accounts.served["old"]
    accounts.charge("new", 50)
    accounts.settle(["old"])
    assert set(accounts.served) == {"old"}


def test_slots_go_to_the_first_who_is_not_held() -> None:
    queue = [one(1, held=True), one(2), one(3), one(4)]
    assert [each.key[0] for each in admit(queue, 2, 100, {}).admitted] == [2, 3]
    assert admit(queue, 0, 100, {}).admitted == ()


def test_small_ones_pass_one_that_does_not_fit_but_not_for_ever() -> None:
    queue = [one(1, cells=900), one(2, cells=10), one(3, cells=2000), one(4, cells=10)]
    first = admit(queue, 8, 500, {})
    assert [each.key[0] for each in first.admitted] == [2, 4]
    assert first.blocked is not None and first.blocked.key == (1, 0) and first.passed == 2
    worn_out = admit(queue, 8, 500, {(1, 0): MOST_PASSES})
    assert worn_out.admitted == ()
    assert (
        len(admit([one(1, cells=900)] + [one(n) for n in range(2, 40)], 64, 500, {}).admitted) == LOOK_AHEAD
    )


def test_a_full_queue_refuses_its_class_alone_and_says_when_to_come_again() -> None:
    limits = Limits(queue_interactive=2, queue_api=1)
    with pytest.raises(QueueFull, match="holds 2") as refused:
        check_room(2, "interactive", limits, free=0, wait=3.26)
    assert refused.value.info.retry_after_s == 3.3
    check_room(2, "interactive", limits, free=1, wait=None)
    check_room(10_000, "batch", limits, free=0, wait=None)


def test_a_forecast_comes_from_what_has_ended() -> None:
    forecast = Forecast(slots=4)
    assert forecast.wait(1) is None
    forecast.ended(8.0)
    assert forecast.wait(2) == 4.0


queues = st.lists(
    st.builds(
        lambda priority, client, cost, cells, held: (priority, client, cost, cells, held),
        st.sampled_from(sorted(RANK)),
        st.sampled_from("abc"),
        st.integers(1, 500),
        st.integers(1, 300),
        st.booleans(),
    ),
    max_size=30,
)


@given(queues, st.integers(0, 8), st.integers(0, 1000))
def test_admission_keeps_every_bound(raw: list[tuple], slots: int, cells: int) -> None:
    waiting = [
        one(key, priority, client=client, cost=cost, cells=need, held=held)
        for key, (priority, client, cost, need, held) in enumerate(raw)
    ]
    queue = in_order(waiting, {}, 0)
    assert sorted(each.key for each in queue) == sorted(each.key for each in waiting)
    assert [RANK[each.priority] for each in queue] == sorted(RANK[each.priority] for each in waiting)
    admission = admit(queue, slots, cells, {})
    assert len(admission.admitted) <= slots
    assert sum(each.cells for each in admission.admitted) <= cells
    assert not any(each.held for each in admission.admitted)
    if admission.blocked is not None:
        assert admission.blocked.cells > cells - sum(each.cells for each in admission.admitted)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 100)), min_size=3, max_size=60))
def test_clients_are_served_alike_by_cost(wants: list[tuple[str, int]]) -> None:
    """However unevenly clients ask, while all of them want something, none is ahead by more than its last request."""
    accounts = Accounts()
    left = [one(key, client=client, cost=cost) for key, (client, cost) in enumerate(wants)]
    had = dict.fromkeys({client for client, _ in wants}, 0.0)
    while len({each.client for each in left}) == len(had):
        accounts.settle(had)
        (chosen, *_) = in_order(left, accounts.served, 0)
        accounts.charge(chosen.client, chosen.cost)
        had[chosen.client] += chosen.cost
        left.remove(chosen)
        assert max(had.values()) - min(had.values()) <= 100
