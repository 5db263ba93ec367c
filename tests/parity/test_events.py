"""One stream of events, whatever was asked and whoever computes: its order, its ends, its account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from engine.types import (
    Admitted,
    Delta,
    Done,
    Failed,
    Finished,
    Loading,
    Logprobs,
    Prefill,
    Queued,
    StreamEvent,
)
from tests.parity.subject import Heard, Subject

ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"n": 3, "sampling": {"temperature": 1.0, "seed": 1}},
    {"max_tokens": 0},
    {"max_tokens": 1},
    {"stop": ("e",)},
    {"echo": True, "logprobs": Logprobs(top=2)},
    {"logprobs": Logprobs(prompt=True)},
    {"overflow": "refuse", "question": "word " * 600},
    {"sampling": {"made_up": 1}},
    {"sampling": {"logit_bias": {2**40: 1.0}}},
    {"timings_per_token": True, "return_tokens": True},
)


STAGES: tuple[Callable[[StreamEvent], bool], ...] = (
    lambda event: isinstance(event, Loading),
    lambda event: isinstance(event, Queued),
    lambda event: isinstance(event, Admitted),
    lambda event: isinstance(event, Prefill),
    lambda event: isinstance(event, Delta) and event.tokens > 0,
)
"""What begins in this order. An echo of the prompt is a delta without tokens and comes as soon as it is admitted."""


def check(events: list[StreamEvent], choices: int) -> None:
    """What holds of every stream."""
    assert [event.seq for event in events] == list(range(len(events)))
    assert all(one.t_ns <= two.t_ns for one, two in pairwise(events))
    *before, last = events
    assert isinstance(last, Done | Failed)
    assert not any(isinstance(event, Done | Failed) for event in before)
    firsts = [next((event.seq for event in before if is_one(event)), None) for is_one in STAGES]
    found = [seq for seq in firsts if seq is not None]
    assert found == sorted(found)
    ends = [event for event in before if isinstance(event, Finished)]
    if isinstance(last, Failed):
        assert last.error.what and last.error.code and last.error.http_status
        return
    assert sorted(event.choice for event in ends) == list(range(choices)), "one end for each choice"
    assert sum(isinstance(event, Admitted) for event in before) == 1
    for end in ends:
        said = [event.seq for event in before if isinstance(event, Delta) and event.choice == end.choice]
        assert all(seq < end.seq for seq in said), "nothing is said after the end"


async def test_every_stream_keeps_its_order(subject: Subject) -> None:
    """Alone, then all at once."""
    for together in (False, True):
        requests = [
            subject.hear(said.get("question", "Hello, who are you?"), **_without(said, "question"))
            for said in ASKED
        ]
        heard: list[Heard] = []
        if together:
            heard += await asyncio.gather(*requests)
        else:
            for request in requests:
                heard.append(await request)
        for said, each in zip(ASKED, heard, strict=True):
            check(each.events, said.get("n", 1))
        assert sum(isinstance(each.events[-1], Failed) for each in heard) >= 2


def _without(said: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key != name}


async def test_a_reader_that_comes_late_misses_nothing(subject: Subject) -> None:
    request = subject.ask("Hello, who are you?", id=f"late {subject.backend}")
    now = Heard([event async for event in subject.engine.generate(request)])
    stream = subject.engine.generate(request)
    while subject.engine.running():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    late = Heard(stream.drain())
    assert late.text() == now.text() and late.end() is not None
    check(late.events, 1)
    assert stream.drain() == []


async def test_the_end_says_who_answered(subject: Subject) -> None:
    done = (await subject.hear("Hello.")).done
    assert (done.reason, done.backend, done.model) == ("finished", subject.backend, subject.model)
