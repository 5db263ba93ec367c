"""The reader's end of a request: from other threads and loops, fast or slow."""

from __future__ import annotations

import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from engine.stream import MERGE_ABOVE, EventStream
from engine.types import Delta, Done, Finished, Prefill, StreamEvent


def stream() -> EventStream:
    return EventStream("s", lambda: None)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.text(max_size=2)), max_size=60), st.integers(1, 70)
)
def test_merging_keeps_text_order_and_numbers(parts: list[tuple[bool, bool, str]], read_every: int) -> None:
    """Parts are (is a delta, is reasoning, text); the reader looks after every `read_every` events."""
    made, got = stream(), []
    filler = [Delta(text=".", t_ns=1)] * MERGE_ABOVE
    for event in filler:
        made.push(Delta(text=event.text, t_ns=event.t_ns))
    for index, (is_delta, reasoning, text) in enumerate(parts):
        kind = "reasoning" if reasoning else "content"
        made.push(Delta(text=text, kind=kind, tokens=1) if is_delta else Prefill(done=index, total=99))
        if index % read_every == read_every - 1:
            got += made.drain()
    made.push(Done(reason="finished"))
    got += made.drain()
    assert [event.seq for event in got] == list(range(len(got)))
    for kind in ("content", "reasoning"):
        wanted = ("." * MERGE_ABOVE if kind == "content" else "") + "".join(
            text for is_delta, reasoning, text in parts if is_delta and reasoning == (kind == "reasoning")
        )
        assert "".join(e.text for e in got if isinstance(e, Delta) and e.kind == kind) == wanted
    assert [e.done for e in got if isinstance(e, Prefill)] == [
        i for i, part in enumerate(parts) if not part[0]
    ]
    assert sum(e.tokens for e in got if isinstance(e, Delta)) == sum(part[0] for part in parts)


def test_nothing_comes_after_the_terminal_event() -> None:
    made = stream()
    made.push(Done(reason="cancelled"))
    made.push(Delta(text="late"))
    made.push(Done(reason="finished"))
    assert [type(event) for event in made.drain()] == [Done]
    assert made.ended and made.drain() == []


async def test_a_reader_on_another_loop_than_the_writers_thread() -> None:
    made = stream()
    go = threading.Event()

    def write() -> None:
        go.wait()
        for number in range(500):
            made.push(Delta(text=f"{number} ", tokens=1))
        made.push(Finished(reason="stop"))
        made.push(Done(reason="finished"))

    thread = threading.Thread(target=write)
    thread.start()
    got: list[StreamEvent] = []

    async def read() -> None:
        async for event in made:
            got.append(event)

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    go.set()
    await reader
    thread.join()
    assert "".join(event.text for event in got if isinstance(event, Delta)) == "".join(
        f"{number} " for number in range(500)
    )
    assert isinstance(got[-1], Done)
    assert [event async for event in made] == [], "an ended stream stays ended"


async def test_wait_gives_the_terminal_event() -> None:
    made = stream()
    for event in (Delta(text="x"), Done(reason="finished", model="m")):
        made.push(event)
    end = await made.wait()
    assert isinstance(end, Done) and end.model == "m"
