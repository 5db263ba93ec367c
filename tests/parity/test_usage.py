"""The account of a request adds up: prompt, cache, answer, thoughts and choices."""

from __future__ import annotations

import pytest

from engine.types import CachePolicy, Logprobs, Prefill, Thinking
from tests.parity.subject import Heard, Subject

THINKING = "scripted:thinking=1,text=<think>a plan of several words</think>an answer"


def check(heard: Heard, choices: int = 1) -> None:
    """What holds of every account."""
    usage = heard.usage
    assert usage.prompt_tokens == heard.admitted.prompt_tokens
    assert usage.cached_tokens == heard.admitted.cached_tokens < usage.prompt_tokens
    told = [delta.tokens for choice in range(choices) for delta in heard.deltas(choice)]
    assert sum(told) == usage.completion_tokens
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 <= usage.reasoning_tokens <= usage.completion_tokens
    read = [event for event in heard.events if isinstance(event, Prefill)]
    assert all(event.total == usage.prompt_tokens and event.done <= event.total for event in read)
    assert [event.done for event in read] == sorted(event.done for event in read)


async def test_every_token_is_counted_once(subject: Subject) -> None:
    request = subject.ask("What is the capital of France?")
    heard = await subject.hear("What is the capital of France?", max_tokens=500, return_tokens=True)
    check(heard)
    assert heard.usage.prompt_tokens == await subject.engine.count(request)
    assert heard.end().reason == "stop"
    assert heard.usage.completion_tokens == len(heard.tokens()) + 1, "its end is a token too"
    cut = await subject.hear("What is the capital of France?", max_tokens=4, return_tokens=True)
    check(cut)
    assert cut.usage.completion_tokens == len(cut.tokens()) == 4


async def test_the_cache_gives_all_but_the_last_token(subject: Subject) -> None:
    question = "Count from one to twenty, please, and take your time."
    first = await subject.hear(question, cache=CachePolicy(read=False))
    assert first.usage.cached_tokens == 0
    again = await subject.hear(question)
    check(again)
    assert again.usage.cached_tokens == again.usage.prompt_tokens - 1
    assert again.text() == first.text()
    other = await subject.hear(question, cache=CachePolicy(salt="another caller"))
    check(other)
    assert other.usage.cached_tokens == 0


async def test_choices_share_the_prompt_and_add_their_tokens(subject: Subject) -> None:
    one = await subject.hear("Hello.", max_tokens=7)
    three = await subject.hear("Hello.", max_tokens=7, n=3)
    check(three, choices=3)
    assert three.usage.prompt_tokens == one.usage.prompt_tokens
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens


@pytest.mark.parametrize("visible", [True, False])
async def test_thoughts_are_part_of_the_answer(subject: Subject, visible: bool) -> None:
    model = {"model": THINKING} if subject.backend == "scripted" else {}
    thinking = Thinking(enabled=True, visible=visible)
    heard = await subject.hear("What is 7 plus 5?", thinking=thinking, max_tokens=120, **model)
    check(heard)
    assert 0 < heard.usage.reasoning_tokens < heard.usage.completion_tokens
    assert bool(heard.reasoning()) is visible and heard.text()


async def test_text_token_ids_and_probabilities_are_told_of_the_same_tokens(subject: Subject) -> None:
    heard = await subject.hear("Hello.", return_tokens=True, logprobs=Logprobs(top=1))
    check(heard)
    assert [each.token for each in heard.logprobs()] == heard.tokens()
    assert b"".join(each.piece for each in heard.logprobs()).decode("utf-8", "ignore") == heard.text().rstrip(
        "\ufffd"
    )


async def test_the_moments_of_a_request_follow_one_another(subject: Subject) -> None:
    times = (await subject.hear("Hello.")).done.timings
    moments = [
        times.submitted,
        times.admitted,
        times.first_prefill,
        times.first_token,
        times.last_token,
        times.ended,
    ]
    assert moments == sorted(moments) and times.submitted > 0 and times.load == 0
