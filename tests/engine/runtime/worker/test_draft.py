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
    assert lookup.guess(8) == (4, 5)
    lookup.judge(2, 2)
    assert lookup.guess(8) == (4, 5, 6, 9), "it grows while it is right"
    assert lookup.guess(1) == (4,)
    assert Lookup([1, 2, 3, 4]).guess(8) == ()


def test_wrong_guesses_are_made_ever_less_often() -> None:
    lookup = Lookup([1, 2, 3, 4] * 50)
    tries = 0
    for _ in range(400):
        guess = lookup.guess(4)
        if guess:
            tries += 1
            lookup.judge(len(guess), 0)
    assert 3 <= tries <= 20


@given(st.lists(st.integers(0, 3), max_size=80), st.integers(1, 8))
def test_a_guess_is_always_a_piece_of_the_text(tokens: list[int], most: int) -> None:
    guess = Lookup(tokens).guess(most)
    assert len(guess) <= most
    text = ",".join(map(str, tokens))
    assert ",".join(map(str, guess)) in text


def test_a_script_that_repeats_itself_takes_fewer_steps_and_says_the_same() -> None:
    words = "the cat sat on the mat and " * 12
    found = {}
    for draft in (0, 6):
        backend = load("scripted", f"scripted:text={words}", LoadOptions(context=2048, slots=2))
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
