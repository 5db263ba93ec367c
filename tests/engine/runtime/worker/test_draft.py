"""Guesses come from the text itself, and stop where they do not pay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.limits import Limits
from engine.runtime.worker.draft import Lookup
from engine.types import GenerationRequest, LoadOptions
from tests.engine.runtime.worker.desk import Desk, load


def test_what_followed_before_is_guessed_to_follow_again() -> None:
    lookup = Lookup([1, 2, 3, 4, 5, 6, 9, 1, 2, 3])
    assert lookup.guess(2) == (4, 5)
    assert lookup.guess(4) == (4, 5, 6, 9)
    assert lookup.guess(9) == (4, 5, 6, 9, 1, 2, 3, 4, 5), "it goes round"
    assert lookup.guess(0) == ()
    assert Lookup([1, 2, 3, 4]).guess(8) == ()
    assert Lookup([7, 7, 7, 7]).guess(3) == (7, 7, 7)


def test_the_chance_of_a_guess_is_known_without_one_being_sent() -> None:
    lookup = Lookup([1, 2, 3, 4] * 4)
    assert lookup.chance == 0.5, "what the prompt repeats says nothing of the answer"
    for token in [1, 2, 3, 4] * 4:
        lookup.take(token)
    assert lookup.chance > 0.95
    for token in range(100, 120):
        lookup.take(token)
    assert 0.6 < lookup.chance < 0.8, "one surprise; the rest could not be guessed"
    for token in (1, 2, 3, 50, 1, 2, 3, 60, 1, 2, 3, 70, 1, 2, 3, 80):
        lookup.take(token)
    assert lookup.chance < 0.5


@given(st.lists(st.integers(0, 3), max_size=80), st.integers(1, 8))
def test_a_guess_is_always_what_the_text_holds_behind_its_newest_tokens(tokens: list[int], most: int) -> None:
    guess = Lookup(tokens).guess(most)
    assert len(guess) in (0, most)
    if guess:
        text = tokens + list(guess)
        known = {tuple(text[at : at + 4]) for at in range(len(tokens) - 3)}
        assert tuple(text[len(tokens) - 3 : len(tokens) + 1]) in known


def test_a_script_that_repeats_itself_takes_fewer_steps_and_says_the_same() -> None:
    words = "the cat sat on the mat and " * 12
    found = {}
    for draft in (0, 6):
        backend = load(
            "scripted", f"scripted:delay_ms=2,token_us=0,text={words}", LoadOptions(context=2048, slots=2)
        )
        steps = 0
        step = backend.step

        def count(rows: object, step: object = step) -> object:
            nonlocal steps
            steps += 1
            return step(rows)  # type: ignore[operator]

        backend.step = count  # type: ignore[method-assign, assignment]
        desk = Desk(backend, Limits(draft=draft))
        answer = desk.answer(GenerationRequest(model="m", prompt="go", raw=True))
        found[draft] = answer.text, answer.usage.completion_tokens, steps
        right, wrong = answer.usage.draft_accepted, answer.usage.draft_rejected
    assert found[0][:2] == found[6][:2]
    assert found[6][2] < found[0][2] / 2
    assert right > wrong
