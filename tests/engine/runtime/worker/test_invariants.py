"""The promises of an event stream, kept on every backend under any mix of requests and cancels.

Here the whole path runs in one process, step by step: ticket, wire format, runner, backend, and back again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.runtime.backends.base import StepBackend
from engine.runtime.ticket import Ticket
from engine.runtime.wire import Item, Piece
from engine.runtime.worker.outbox import merged
from engine.types import (
    AdapterRef,
    Admitted,
    Delta,
    Done,
    Failed,
    Finished,
    GenerationRequest,
    Message,
    Prefill,
    StreamEvent,
)
from tests.engine.runtime.worker.desk import Desk, load
from tests.tiers import examples
from tests.weights import tiny_adapter, tiny_llama


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StepBackend, str]]:
    folder = tmp_path_factory.mktemp("weights")
    backend = load("llama", str(tiny_llama(folder)))
    yield backend, str(tiny_adapter(folder))
    backend.close()


def check(ticket: Ticket, events: list[StreamEvent]) -> None:
    request = ticket.request
    assert [event.seq for event in events] == list(range(len(events)))
    assert all(earlier.t_ns <= later.t_ns for earlier, later in pairwise(events))
    assert [event for event in events if isinstance(event, Done | Failed)] == events[-1:]
    last = events[-1]
    finished = [event.choice for event in events if isinstance(event, Finished)]
    assert len(finished) == len(set(finished))
    for index, event in enumerate(events):
        if isinstance(event, Finished):
            later = events[index:]
            assert not any(isinstance(other, Delta) and other.choice == event.choice for other in later)
    if isinstance(last, Done):
        assert sorted(finished) == list(range(request.n))
        deltas = [event for event in events if isinstance(event, Delta)]
        assert sum(event.tokens for event in deltas) == last.usage.completion_tokens
        if request.max_tokens is not None:
            assert last.usage.completion_tokens <= request.max_tokens * request.n
    admitted = [event for event in events if isinstance(event, Admitted)]
    assert len(admitted) <= 1
    for event in admitted:
        prompt = event.prompt_tokens
        assert last.usage.prompt_tokens == prompt
        read = [event.done for event in events if isinstance(event, Prefill)]
        assert read == sorted(set(read)) and all(done <= prompt for done in read)
        assert event.cached_tokens == last.usage.cached_tokens < prompt
        if isinstance(last, Done) and last.reason == "finished":
            assert read[-1] == prompt and read[0] > event.cached_tokens


def texts(events: list[StreamEvent]) -> dict[tuple[int, str], str]:
    found: dict[tuple[int, str], str] = {}
    for event in events:
        if isinstance(event, Delta):
            found[event.choice, event.kind] = found.get((event.choice, event.kind), "") + event.text
    return found


def item_texts(items: list[Item], key: int) -> dict[tuple[int, str], str]:
    found: dict[tuple[int, str], str] = {}
    for item in items:
        if isinstance(item, Piece) and item.key == key:
            kind = "reasoning" if item.reasoning else "content"
            found[item.choice, kind] = found.get((item.choice, kind), "") + item.text
    return found


def requests(adapter: str) -> st.SearchStrategy[GenerationRequest]:
    prompt = st.text(alphabet="ab é🙂<|user|>", max_size=60)
    base = {
        "model": st.just("m"),
        "max_tokens": st.none() | st.integers(0, 30),
        "n": st.integers(1, 4),
        "stop": st.lists(st.text("ab wé", min_size=1, max_size=3), max_size=2).map(tuple),
        "priority": st.sampled_from(["interactive", "api", "batch"]),
        "adapters": st.sampled_from([None, (AdapterRef(adapter, 0.5),)]),
        "overflow": st.sampled_from(["drop_oldest", "refuse"]),
        "sampling": st.fixed_dictionaries({"seed": st.integers(0, 99), "temperature": st.just(1.0)}),
        "return_tokens": st.booleans(),
    }
    messages = st.lists(
        st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=prompt),
        min_size=1,
        max_size=4,
    ).map(tuple)
    return st.one_of(
        st.builds(GenerationRequest, prompt=prompt, raw=st.just(True), **base),
        st.builds(GenerationRequest, messages=messages, **base),
        st.builds(GenerationRequest, tokens=st.lists(st.integers(0, 255), max_size=150).map(tuple), **base),
    )


def play(
    backend: StepBackend, wanted: list[GenerationRequest], cancels: list[tuple[int, int]], gap: int
) -> Desk:
    """Submit `wanted` `gap` turns apart; cancel request a at turn b; run until all have ended."""
    desk = Desk(backend)
    left = list(wanted)
    turn = 0
    while left or desk.busy:
        if left and turn % (gap + 1) == 0:
            desk.submit(left.pop(0))
        for index, at in cancels:
            if at == turn and index + 1 in desk.tickets:
                desk.runner.cancel(index + 1)
                ended_before = desk.tickets[index + 1].terminal is not None
                desk.runner.turn() if desk.busy else None
                if not ended_before:
                    terminal = desk.tickets[index + 1].terminal
                    assert terminal is not None, "a cancel ends the request within one step"
                    assert isinstance(terminal, Failed) or terminal.reason in ("cancelled", "finished")
        if desk.busy:
            desk.runner.turn()
        turn += 1
        assert turn < 20_000
    for ticket in desk.tickets.values():
        events = ticket.stream.drain()
        check(ticket, events)
        assert texts(events) == item_texts(desk.items, ticket.key)
        assert item_texts(merged(desk.items), ticket.key) == item_texts(desk.items, ticket.key)
    desk.cache.give_room(1 << 30)
    return desk


cancels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 40)), max_size=3)
quiet = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

SCRIPTS = [
    "scripted:tokens=25",
    "scripted:random=1,text=a b wé 🙂 c",
    "scripted:pieces=bytes,thinking=1,text=<think>plan é</think> answer 🙂 b",
    "scripted:tokens=12,cells=150",
    "scripted:tokens=12,exact=1",
    "scripted:tokens=40,shelves=2,cells=300",
    "scripted:tokens=12,shelves=0",
    "scripted:",
]


@pytest.mark.parametrize("script", SCRIPTS)
@settings(quiet, max_examples=examples(40))
@given(wanted=st.lists(requests("capitals"), min_size=1, max_size=5), at=cancels, gap=st.integers(0, 5))
def test_scripted(script: str, wanted: list[GenerationRequest], at: list[tuple[int, int]], gap: int) -> None:
    backend = load("scripted", script)
    play(backend, wanted, at, gap)
    assert backend.memory().kv_cache == 0, "every slot and shelf was given back"


@settings(quiet, max_examples=examples(40))
@given(data=st.data(), at=cancels, gap=st.integers(0, 5))
def test_llama(
    llama: tuple[StepBackend, str], data: st.DataObject, at: list[tuple[int, int]], gap: int
) -> None:
    backend, adapter = llama
    wanted = data.draw(st.lists(requests(adapter), min_size=1, max_size=4))
    play(backend, wanted, at, gap)


def alone_and_together(backend: StepBackend, wanted: list[GenerationRequest]) -> None:
    together = play(backend, wanted, [], 2)
    for index, request in enumerate(wanted):
        alone = play(backend, [request], [], 0)
        assert item_texts(alone.items, 1) == item_texts(together.items, index + 1)


def greedy(prompt: str, adapters: tuple[AdapterRef, ...]) -> GenerationRequest:
    return GenerationRequest(
        model="m", prompt=prompt, raw=True, max_tokens=24, sampling={"temperature": 0.0}, adapters=adapters
    )


def test_an_adapter_never_leaks_into_another_request(llama: tuple[StepBackend, str]) -> None:
    backend, adapter = llama
    with_it = (AdapterRef(adapter, 1.0),)
    wanted = [
        greedy("one two three", ()),
        greedy("one two three", with_it),
        greedy("four", ()),
        greedy("five", with_it),
    ]
    alone_and_together(backend, wanted)
    one, two = (play(backend, [each], [], 0) for each in wanted[:2])
    assert item_texts(one.items, 1) != item_texts(two.items, 1), "the adapter changes the answer"


def test_scripted_adapters_write_capitals_in_their_own_streams_only() -> None:
    backend = load("scripted", "scripted:tokens=40")
    wanted = [greedy("x", ()), greedy("x", (AdapterRef("capitals"),)), greedy("y", ())]
    desk = play(backend, wanted, [], 1)
    for key, capital in ((1, False), (2, True), (3, False)):
        text = item_texts(desk.items, key)[0, "content"]
        assert (text == text.upper()) is capital


def test_a_prompt_that_had_to_make_room_is_reported_as_read_once() -> None:
    """110 and 100 tokens do not fit into 150 cells: the batch request is put aside while it is still reading."""
    backend = load("scripted", "scripted:tokens=12,cells=150")
    aside = GenerationRequest(model="m", prompt="b" * 110, raw=True, max_tokens=5, priority="batch")
    first = GenerationRequest(model="m", prompt="a" * 100, raw=True, max_tokens=5, priority="interactive")
    for gap in range(4):
        play(backend, [aside, first], [], gap)
