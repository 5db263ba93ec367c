"""Leaving the workstation while its server answers others: they may end, and a signal hurries them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from engine import LocalEngine
from engine.paths import Paths
from engine.settings import Server, Settings
from tui.last_answers import let_end
from tui.serving import Serving


@pytest.fixture
def serving(engine: LocalEngine, home: Paths) -> Iterator[Serving]:
    made = Serving(home)
    made.start(engine, Settings(server=Server(port=0, drain_seconds=60.0)))
    assert made._server is not None
    made._server.hub._scripted = True  # a real model would be at its end too soon
    yield made
    made.stop(now=True)


@contextmanager
def answering(serving: Serving, model: str) -> Iterator[Future[dict[str, Any]]]:
    """A program is in the middle of an answer; its last line comes later."""
    begun = threading.Event()

    def read() -> dict[str, Any]:
        ask = {"model": model, "prompt": "Count", "stream": True}
        last: dict[str, Any] = {}
        with httpx.stream("POST", f"{serving.url}/api/generate", json=ask, timeout=120) as response:
            for line in response.iter_lines():
                begun.set()
                last = json.loads(line)
        return last

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        assert begun.wait(60)
        yield reading


def when(true: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    """A thread that calls `act` once `true`."""

    def wait() -> None:
        until = time.monotonic() + 60
        while not true() and time.monotonic() < until:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_an_answer_is_let_end(serving: Serving) -> None:
    with answering(serving, "scripted:tokens=60,delay_ms=10") as last:
        let_end(serving, 60.0, signalled=False)
        assert last.result(60)["done"] is True
    assert serving.state == "off"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_hurries_it_and_it_gets_its_last_word(
    serving: Serving, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with answering(serving, "scripted:tokens=100000,delay_ms=5,context=200000") as last:
        hurry = when(lambda: serving.state == "stopping", lambda: os.kill(os.getpid(), number))
        let_end(serving, 600.0, signalled=False)
        hurry.join()
        assert "shutting down" in last.result(60)["error"]
    assert signal.getsignal(number) is before
    assert "An answer is still being sent" in capsys.readouterr().err


def test_it_waits_no_longer_than_that(serving: Serving) -> None:
    with answering(serving, "scripted:tokens=100000,delay_ms=5,context=200000") as last:
        let_end(serving, 0.1, signalled=True)
        assert "shutting down" in last.result(60)["error"]
    assert serving.state == "off"
