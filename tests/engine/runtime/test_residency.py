"""Which models stay, and what worker deaths mean: decisions without clock or process."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.deaths import QUARANTINE_AT, WINDOW_NS, Deaths, try_again
from engine.runtime.residency import Plan, Resident, due, expiry, next_due, plan_evictions, value

SECOND = 10**9
GB = 10**9


def idle(model: str, last_used: int = 0, **more: Any) -> Resident:
    return Resident(model=model, last_used=last_used, **more)


def holding(model: str, gigabytes: float, spare: float = 0, **more: Any) -> Resident:
    """A model with `gigabytes` of main memory, `spare` of them KV cache."""
    sizes = {"holds": {"main": int(gigabytes * GB)}, "spare": {"main": int(spare * GB)} if spare else {}}
    return Resident(model=model, **sizes | more)


def plan(need: float, free: float, *models: Resident, now: int = 100 * SECOND, **more: Any) -> Plan:
    return plan_evictions(
        {"main": int(need * GB)}, {"main": int(free * GB)}, models, now, **{"most": 9, **more}
    )


def by_count(models: list[Resident], most: int) -> Plan:
    return plan_evictions({}, {}, models, 100, most=most)


# --- how many


def test_there_is_room_below_the_limit() -> None:
    assert by_count([], 1).granted
    assert by_count([Resident(model="a", references=3)], 2).granted


def test_the_idle_model_used_longest_ago_leaves() -> None:
    models = [idle("a", 30), idle("b", 10), Resident(model="c", references=1, last_used=5)]
    assert by_count(models, 3).evict == ("b",)


def test_as_many_leave_as_there_are_too_many() -> None:
    assert by_count([idle("a", 30), idle("b", 10), idle("c", 20)], 2).evict == ("b", "c")


def test_a_model_in_use_never_leaves_and_one_on_its_way_out_is_waited_for() -> None:
    assert by_count([Resident(model="a", references=1)], 1) == Plan(waits=True)
    assert by_count([idle("a"), idle("b", leaving=True)], 2) == Plan(waits=True)


def test_where_all_are_pinned_there_is_nothing_to_wait_for() -> None:
    plan = by_count([idle("a", pinned=True), idle("b", pinned=True)], 2)
    assert not plan.possible and not plan.short


# --- how much


def test_what_fits_is_granted_and_nobody_makes_way() -> None:
    assert plan(3, 4, holding("a", 2)).granted


def test_kv_caches_are_given_up_before_a_model_leaves() -> None:
    models = [holding("a", 4, spare=1), holding("b", 6, spare=3, last_used=50 * SECOND)]
    assert plan(3, 1, *models).shrink == ("b",)
    assert plan(4.5, 1, *models).shrink == ("b", "a") or plan(4.5, 1, *models).shrink == ("a", "b")
    assert plan(6, 1, *models) == plan(6, 1, *models, now=100 * SECOND)
    assert plan(6, 1, *models).evict == ("b",)


def test_of_those_that_would_do_alone_the_least_valuable_leaves() -> None:
    long_idle = holding("long", 4, last_used=0, load_seconds=10)
    dear = holding("dear", 4, last_used=0, load_seconds=60)
    recent = holding("recent", 4, last_used=90 * SECOND, load_seconds=10)
    small = holding("small", 1, last_used=0, load_seconds=1)
    assert plan(5, 2, dear, recent, long_idle, small).evict == ("long",)
    quick = holding("quick", 4, last_used=90 * SECOND, load_seconds=0.5)
    assert plan(5, 2, dear, recent, long_idle, quick).evict == ("quick",), "it is soon there again"
    kept = holding("kept", 4, last_used=0, load_seconds=10, weight=4.0)
    assert plan(5, 2, kept, long_idle).evict == ("long",)


def test_where_none_will_do_alone_as_few_as_possible_leave() -> None:
    models = [holding(name, size) for name, size in (("a", 1), ("b", 3), ("c", 2), ("d", 1))]
    assert sorted(plan(6, 1, *models).evict) == ["b", "c"]


def test_what_is_pinned_or_busy_is_no_victim() -> None:
    assert plan(5, 1, holding("a", 9, references=1)) == Plan(
        waits=True, free={"main": GB}, would_be_free={"main": GB}
    )
    refused = plan(5, 1, holding("a", 9, pinned=True), holding("b", 2))
    assert not refused.possible
    assert refused.short == {"main": 2 * GB}
    assert (refused.free, refused.would_be_free) == ({"main": GB}, {"main": 3 * GB})


def test_each_device_must_have_room() -> None:
    on_gpu = Resident(model="gpu", holds={"main": GB, "CUDA0": 8 * GB})
    on_cpu = Resident(model="cpu", holds={"main": 8 * GB})
    need, free = {"main": GB, "CUDA0": 6 * GB}, {"main": 4 * GB, "CUDA0": GB}
    assert plan_evictions(need, free, [on_cpu, on_gpu], 100, most=9).evict == ("gpu",)
    assert plan_evictions(need, free, [on_cpu], 100, most=9).short == {"CUDA0": 5 * GB}


def test_a_model_that_wants_its_cache_back_is_not_one_more() -> None:
    models = [holding("a", 2, references=1), holding("b", 2)]
    assert plan(1, 2, *models, most=2, counted=False).granted
    assert plan(2, 1, *models, most=2, counted=False).evict == ("b",)


# --- keep-alive


def test_keep_alive_counts_from_the_end_and_negative_is_for_ever() -> None:
    assert expiry(5 * SECOND, 300.0) == 305 * SECOND
    assert expiry(5 * SECOND, 0.0) == 5 * SECOND
    assert expiry(5 * SECOND, -1.0) is None


def test_only_idle_models_expire_and_pinned_ones_never() -> None:
    models = [
        idle("a", expires=10),
        idle("b", expires=20),
        Resident(model="c", references=1, expires=5),
        idle("d"),
        idle("e", expires=1, pinned=True),
    ]
    assert due(models, 10) == ["a"]
    assert next_due(models) == 10
    assert next_due(models[2:]) is None


# --- whatever there is

sizes = st.dictionaries(st.sampled_from(["main", "CUDA0"]), st.integers(0, 9), max_size=2)
residents = st.lists(
    st.builds(
        Resident,
        model=st.uuids().map(str),
        references=st.integers(0, 2),
        last_used=st.integers(0, 99),
        expires=st.none() | st.integers(0, 99),
        leaving=st.booleans(),
        pinned=st.booleans(),
        holds=sizes,
        spare=sizes,
        load_seconds=st.floats(0, 99),
    ),
    max_size=6,
)
free_sizes = st.fixed_dictionaries({"main": st.integers(0, 20), "CUDA0": st.integers(0, 20)})


@given(sizes, free_sizes, residents, st.integers(1, 6))
def test_a_plan_harms_nobody_at_work_and_gives_what_it_promises(
    need: dict[str, int], free: dict[str, int], models: list[Resident], most: int
) -> None:
    found = plan_evictions(need, free, models, 100, most=most)
    by_name = {each.model: each for each in models}
    named = [*found.shrink, *found.evict]
    assert all(by_name[name].idle for name in named) and len(set(named)) == len(named)
    assert not (found.shrink and found.evict)
    gives = [by_name[name].spare for name in found.shrink] + [by_name[name].holds for name in found.evict]
    after = {pool: size + sum(each.get(pool, 0) for each in gives) for pool, size in free.items()}
    enough = all(after[pool] >= size for pool, size in need.items())
    if named or found.granted:
        assert enough and len(models) - len(found.evict) < most
    # Nobody leaves in vain: without any one of them it would not do.
    for name in found.evict:
        rest = {pool: size - by_name[name].holds.get(pool, 0) for pool, size in after.items()}
        assert len(models) - len(found.evict) + 1 >= most or any(rest[p] < size for p, size in need.items())
    if not found.possible:
        everyone = {
            pool: size + sum(each.holds.get(pool, 0) for each in models if each.idle)
            for pool, size in free.items()
        }
        assert found.short == {p: size - everyone[p] for p, size in need.items() if size > everyone[p]}


@given(residents, st.integers(0, 99))
def test_something_is_due_exactly_when_its_moment_has_come(models: list[Resident], now: int) -> None:
    moment = next_due(models)
    assert bool(due(models, now)) == (moment is not None and moment <= now)


@given(residents)
def test_the_longer_a_model_was_idle_the_less_it_is_worth(models: list[Resident]) -> None:
    for model in models:
        assert value(model, 200) > value(model, 150) > 0


# --- deaths


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
