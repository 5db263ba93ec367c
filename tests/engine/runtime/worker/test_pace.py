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


def test_a_cost_that_was_measured_once_is_measured_again_sooner() -> None:
    pace = learnt({1: 1_000, 2: 50_000, 3: 1_000})
    for _ in range(4):
        pace.took(3, 1_000)
    for _ in range(300):
        pace.took(1, 1_000)
    assert pace.cost(2) is None and pace.cost(3) == 1_000


def free(rounds: int) -> float:
    return 0.0


def test_rounds_of_a_draft_model_are_as_many_as_pay() -> None:
    pace = learnt(dict.fromkeys(range(1, 10), 1_000))
    assert Guesses(pace, 1).rounds([0.9], [8], free) == (8,)
    assert Guesses(pace, 1).rounds([0.9], [3], free) == (3,)
    assert Guesses(pace, 1).rounds([0.5], [8], free) == (3,), "the fourth is right once in sixteen times"
    assert Guesses(pace, 1).rounds([0.9], [0], free) == (0,)
    assert Guesses(pace, 1).rounds([0.9], [8], lambda rounds: 200.0 * rounds)[0] in range(2, 8)
    assert Guesses(pace, 1).rounds([0.9], [8], lambda rounds: 900.0 * rounds) == (0,)
    assert Guesses(Pace(), 1).rounds([0.9], [8], free) == (0,), "what a step costs without is not known"


def test_sequences_pay_for_a_round_together() -> None:
    pace = learnt(dict.fromkeys(range(1, 40), 1_000))
    dear = lambda rounds: 700.0 * rounds  # noqa: E731
    assert Guesses(pace, 1).rounds([0.7], [4], dear) == (0,)
    alone = Guesses(pace, 4).rounds([0.7, 0.0, 0.0, 0.0], [4] * 4, dear)
    together = Guesses(pace, 4).rounds([0.8] * 4, [4] * 4, lambda rounds: 300.0 * rounds)
    assert alone == (0, 0, 0, 0) and min(together) > 0
    mixed = Guesses(pace, 3).rounds([0.9, 0.05, 0.3], [6, 6, 6], free)
    assert mixed == (6, 0, 1), "whose guesses are hardly right gets none, or few"


def test_a_size_nobody_knows_is_tried_by_a_draft_model_only_if_it_could_pay() -> None:
    pace = learnt({1: 1_000})
    assert Guesses(pace, 1).rounds([0.9], [8], free) == (1,)
    assert Guesses(pace, 1).rounds([0.4], [8], free) == (0,)
    assert Guesses(pace, 1).rounds([0.9], [8], lambda rounds: 1_000.0 * rounds) == (0,)
    pace.took(2, 1_100)
    assert Guesses(pace, 1).rounds([0.9], [8], free) == (2,)


def test_what_is_guessed_from_the_text_comes_on_top() -> None:
    pace = learnt(dict.fromkeys(range(1, 10), 1_000))
    step = Guesses(pace, 2)
    assert step.rounds([0.9], [2], lambda rounds: 100.0 * rounds) == (2,)
    assert step.count(0.9, 3) == 3
