from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tui.stream.pump import COST_FACTOR, LONGEST_DELAY, TICK, StreamPump, delay_after


class Page:
    """A sink that remembers each draw."""

    def __init__(self) -> None:
        self.draws: list[tuple[str, str]] = []

    def append(self, text: str) -> None:
        self.draws.append(("answer", text))

    def append_reasoning(self, text: str) -> None:
        self.draws.append(("reasoning", text))

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.draws)


async def test_tokens_of_a_thread_arrive_in_order_and_far_fewer_draws() -> None:
    page, ended = Page(), asyncio.Event()
    feed = StreamPump().open(page, ended.set)
    tokens = [f"t{n} " for n in range(5000)]

    def produce() -> None:
        for token in tokens:
            feed.push(token)
        feed.close()

    thread = threading.Thread(target=produce)
    thread.start()
    await ended.wait()
    thread.join()
    assert page.text == "".join(tokens)
    assert len(page.draws) < 50


async def test_the_end_is_drawn_even_while_held() -> None:
    page, ended = Page(), asyncio.Event()
    feed = StreamPump().open(page, ended.set)
    feed.held = lambda: True
    feed.push("a")
    feed.push("b")
    assert feed.pending == 2
    feed.close()
    await ended.wait()
    assert page.text == "ab" and feed.pending == 0


async def test_a_held_feed_waits_and_counts(until: Callable[..., Any]) -> None:
    page, pump = Page(), StreamPump()
    feed = pump.open(page)
    held = True
    feed.held = lambda: held
    for token in "abc":
        feed.push(token)
    ticks = pump.ticks
    await until(lambda: pump.ticks > ticks + 1)
    assert page.draws == [] and feed.pending == 3
    held = False
    pump.wake()
    await until(lambda: page.text == "abc")
    feed.close()


async def test_thinking_and_answer_keep_their_order() -> None:
    page, ended = Page(), asyncio.Event()
    feed = StreamPump().open(page, ended.set)
    feed.push_reasoning("a")
    feed.push_reasoning("b")
    feed.push("c")
    feed.close()
    await ended.wait()
    assert page.draws == [("reasoning", "ab"), ("answer", "c")]


async def test_a_feed_without_a_sink_keeps_its_text_until_it_has_one() -> None:
    page, pump, ended = Page(), StreamPump(), asyncio.Event()
    feed = pump.open(None, ended.set)
    feed.push("kept")
    feed.close()
    pump.wake()
    await asyncio.sleep(0)
    assert not ended.is_set()
    pump.attach(feed, page)
    await ended.wait()
    assert page.text == "kept"


def test_the_clock_slows_with_the_cost_of_drawing() -> None:
    assert delay_after(0.0) == delay_after(0.001) == TICK
    assert delay_after(0.05) == COST_FACTOR * 0.05
    assert delay_after(10.0) == LONGEST_DELAY


async def test_the_clock_stops_when_the_last_stream_ends(until: Callable[..., Any]) -> None:
    pump, ended = StreamPump(), asyncio.Event()
    pump.open(Page(), ended.set).close()
    await ended.wait()
    await until(lambda: all(task.get_name() != "stream pump" for task in asyncio.all_tasks()))
