"""How long an answer may be: by its own limit, by the window, and what happens to a text longer than that."""

from __future__ import annotations

from engine.types import Message, Shifted
from tests.parity.subject import LOAD, Subject

CONTEXT = LOAD.context or 0
WORDS = "many words "


async def tokens_of(subject: Subject, count: int) -> tuple[int, ...]:
    """A prompt of so many tokens."""
    found = await subject.engine.tokenize(subject.model, WORDS * count, special=False)
    return tuple(found[:count])


async def test_no_more_tokens_than_asked(subject: Subject) -> None:
    whole = await subject.hear("Say the days of the week.", max_tokens=20, return_tokens=True)
    for limit in (0, 1, 2, 7):
        heard = await subject.hear("Say the days of the week.", max_tokens=limit, return_tokens=True)
        assert heard.tokens() == whole.tokens()[:limit]
        assert heard.end().reason == "length" and heard.usage.completion_tokens == limit


async def test_the_window_ends_an_answer(subject: Subject) -> None:
    prompt = await tokens_of(subject, CONTEXT - 40)
    heard = await subject.hear(tokens=prompt, max_tokens=None, sampling={"ignore_eos": True, "seed": 1})
    assert heard.end().reason == "context_full"
    assert heard.usage.prompt_tokens + heard.usage.completion_tokens == CONTEXT == heard.admitted.context


async def test_a_window_that_moves_goes_on(subject: Subject) -> None:
    prompt = await tokens_of(subject, CONTEXT - 40)
    asked = {"sampling": {"ignore_eos": True, "seed": 1}, "overflow": "shift", "keep_tokens": 8}
    heard = await subject.hear(tokens=prompt, max_tokens=60, **asked)
    shifts = [event for event in heard.events if isinstance(event, Shifted)]
    assert [event.dropped for event in shifts] == [(CONTEXT - 8) // 2]
    assert heard.end().reason == "length" and heard.usage.completion_tokens == 60


async def test_a_prompt_longer_than_the_window_is_cut_or_refused(subject: Subject) -> None:
    prompt = await tokens_of(subject, CONTEXT + 100)
    heard = await subject.hear(tokens=prompt, max_tokens=4, sampling={"ignore_eos": True})
    admitted = heard.admitted
    assert admitted.dropped_tokens == len(prompt) - admitted.prompt_tokens > 100
    refused = await subject.hear(tokens=prompt, overflow="refuse")
    assert refused.failed.error.code == "context_overflow" and refused.failed.error.param == "tokens"


async def test_the_oldest_turns_are_dropped_first(subject: Subject) -> None:
    old = [Message(role=role, content=WORDS * 12) for _ in range(12) for role in ("user", "assistant")]
    talk = (Message(role="system", content="Be brief."), *old, Message(role="user", content="Hello."))
    heard = await subject.hear(messages=talk)
    assert heard.admitted.dropped_messages > 0 and heard.admitted.prompt_tokens < CONTEXT
    refused = await subject.hear(messages=talk, overflow="refuse")
    assert refused.failed.error.code == "context_overflow"
    one = await subject.hear(messages=(Message(role="user", content=WORDS * CONTEXT),))
    assert one.failed.error.code == "context_overflow", "the last turn is never dropped"


async def test_settings_and_requests_are_held_to_the_window(subject: Subject) -> None:
    heard = await subject.hear("Hello.", max_tokens=10**9)
    assert heard.end().reason in ("stop", "context_full")
