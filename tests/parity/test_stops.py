"""Stop strings and stop tokens end an answer where they stand in it, wherever tokens happen to be cut."""

from __future__ import annotations

import pytest

from tests.parity.subject import Subject

QUESTION = "Say the days of the week."
COUNT = 40


async def test_a_stop_string_is_cut_out_with_what_follows(subject: Subject) -> None:
    """Every few characters of the answer in turn: most begin and end inside a token."""
    whole = (await subject.hear(QUESTION, max_tokens=COUNT)).text()
    for start in range(1, len(whole) - 5, 17):
        stop = whole[start : start + 5]
        heard = await subject.hear(QUESTION, max_tokens=COUNT, stop=("never said", stop))
        assert heard.text() == whole[: whole.index(stop)]
        assert (heard.end().reason, heard.end().stop_string) == ("stop_string", stop)


async def test_the_first_to_be_complete_wins(subject: Subject) -> None:
    whole = (await subject.hear(QUESTION, max_tokens=COUNT)).text()
    early, late = whole[6:11], whole[14:19]
    heard = await subject.hear(QUESTION, max_tokens=COUNT, stop=(late, early))
    assert heard.text() == whole[: whole.index(early)] and heard.end().stop_string == early


async def test_the_beginning_of_a_stop_that_does_not_come_is_given_out(subject: Subject) -> None:
    whole = (await subject.hear(QUESTION, max_tokens=COUNT)).text()
    almost = tuple(f"{whole[start : start + 4]}\x01" for start in range(0, len(whole) - 4, 7))
    heard = await subject.hear(QUESTION, max_tokens=COUNT, stop=almost)
    assert heard.text() == whole and heard.end().stop_string is None


async def test_nothing_of_a_stop_string_is_shown_before_it_is_complete(subject: Subject) -> None:
    whole = (await subject.hear(QUESTION, max_tokens=COUNT)).text()
    stop = whole[9:17]
    heard = await subject.hear(QUESTION, max_tokens=COUNT, stop=(stop,))
    shown = ""
    for delta in heard.deltas():
        shown += delta.text
        assert whole[: whole.index(stop)].startswith(shown)


async def test_each_choice_stops_by_itself(subject: Subject) -> None:
    whole = (await subject.hear(QUESTION, max_tokens=COUNT)).text()
    heard = await subject.hear(QUESTION, max_tokens=COUNT, n=3, stop=(whole[10:14],))
    for choice in range(3):
        assert heard.text(choice) == whole[: whole.index(whole[10:14])]
        assert heard.end(choice).reason == "stop_string"


async def test_a_stop_token_ends_like_the_models_own(subject: Subject) -> None:
    heard = await subject.hear(QUESTION, max_tokens=COUNT, return_tokens=True)
    tokens = heard.tokens()
    place = next(place for place in range(3, len(tokens)) if tokens[place] not in tokens[:place])
    stopped = await subject.hear(QUESTION, max_tokens=COUNT, return_tokens=True, stop_tokens=(tokens[place],))
    assert stopped.tokens() == tokens[:place] and stopped.end().reason == "stop"
    assert stopped.usage.completion_tokens == place + 1


@pytest.mark.parametrize("stop", ["a", "."])
async def test_a_stop_in_the_prompt_stops_nothing(subject: Subject, stop: str) -> None:
    free = await subject.hear(f"{stop * 4} {QUESTION}", max_tokens=COUNT)
    heard = await subject.hear(f"{stop * 4} {QUESTION}", max_tokens=COUNT, stop=(stop,))
    assert heard.text() == free.text().partition(stop)[0]
