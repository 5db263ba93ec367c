"""Guesses are sent where a step of their size pays, by what steps were measured to cost."""

from __future__ import annotations

from engine.runtime.worker.pace import Guesses, Pace


def learnt(cost: dict[int, int]) -> Pace:
    pace = Pace()
    for tokens, ns in cost.items():
        pace.took(tokens, ns)
    return pace


def test_nothing_is_guessed_before_a_plain_step_was_measured() -> None:
    assert Guesses(Pace(), 1).count(0.9, 4) == 0


def test_where_a_step_costs_the_same_all_guesses_are_sent() -> None:
    pace = learnt(dict.fromkeys(range(1, 10), 1_000))
    assert Guesses(pace, 1).count(0.9, 8) == 8
    assert Guesses(pace, 1).count(0.1, 8) > 0
    assert Guesses(pace, 1).count(0.0, 8) == 0


def test_where_every_token_costs_as_much_none_is() -> None:
    pace = learnt({tokens: 1_000 * tokens for tokens in range(1, 10)})
    assert Guesses(pace, 1).count(1.0, 8) == 0


def test_the_size_that_gives_most_for_its_cost_is_found_also_behind_dear_ones() -> None:
    pace = learnt({1: 74, 2: 194, 3: 230, 4: 277, 5: 330, 6: 343, 7: 372, 8: 277, 9: 340})
    assert Guesses(pace, 1).count(1.0, 8) == 7
    assert Guesses(pace, 1).count(0.7, 8) == 0


def test_a_size_nobody_knows_is_tried_once_where_guesses_are_likely_right() -> None:
    pace = learnt({1: 1_000})
    assert Guesses(pace, 1).count(0.4, 8) == 0
    for size in (2, 3, 4):
        assert Guesses(pace, 1).count(0.9, 3) == size - 1
        pace.took(size, 1_000 * size)
    assert Guesses(pace, 1).count(0.9, 3) == 0


def test_what_was_learnt_goes_stale() -> None:
    pace = learnt({1: 1_000, 2: 9_000})
    assert Guesses(pace, 1).count(0.9, 1) == 0
    for _ in range(2_001):
        pace.took(1, 1_000)
    assert Guesses(pace, 1).count(0.9, 1) == 1


def test_one_slow_step_does_not_decide() -> None:
    pace = learnt({1: 1_000, 2: 50_000})
    pace.took(2, 1_100)
    assert pace.cost(2) == 1_100
    pace.took(2, 50_000)
    assert pace.cost(2) < 20_000


def test_streams_side_by_side_share_what_a_step_can_take() -> None:
    pace = learnt({**dict.fromkeys(range(1, 9), 1000), **dict.fromkeys(range(9, 33), 90000)})
    step = Guesses(pace, 4)
    assert [step.count(0.9, 3) for _ in range(4)] == [3, 1, 0, 0]
