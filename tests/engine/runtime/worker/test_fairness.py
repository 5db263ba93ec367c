"""Who waits for whom, on a scripted model whose steps cost what a model's would, counted and not slept."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.runtime.backends.base import Outcome, Row, StepBackend, StepResult
from engine.runtime.limits import Limits
from engine.runtime.wire import Embed
from engine.types import (
    AdapterRef,
    Admitted,
    Delta,
    Done,
    EmbedRequest,
    Failed,
    GenerationRequest,
    LoadOptions,
    Queued,
    StreamEvent,
)
from tests.engine.runtime.worker.desk import Answer, Desk, load

LIMITS = Limits(chunk=512, busy_chunk=128, answer_reserve=16)
OPTIONS = LoadOptions(context=2048, slots=4, batch=512)
STEP_MS, TOKEN_MS = 20.0, 1.5
"""What a step costs, and each of its tokens: about a 1 B model on two cores."""


class Costing:
    """A backend that counts what its steps would have cost. `during` is called in the middle of each."""

    def __init__(self, inner: StepBackend) -> None:
        self._inner = inner
        self.spent = 0.0
        self.steps = 0
        self.during = lambda: None

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def step(self, rows: Sequence[Row]) -> StepResult:
        self.during()
        result = self._inner.step(rows)
        if result.outcome is Outcome.OK:
            self.steps += 1
            self.spent += STEP_MS + TOKEN_MS * sum(row.size for row in rows)
        return result


def opened(script: str = "scripted:tokens=200") -> Costing:
    return Costing(load("scripted", script, OPTIONS))


def chat(**more: object) -> GenerationRequest:
    said = {"prompt": "h" * 60, "raw": True, "max_tokens": 5, "priority": "interactive", "client": "tui"}
    return GenerationRequest(model="m", **(said | more))  # type: ignore[arg-type]


def job(number: int, **more: object) -> GenerationRequest:
    said = {"prompt": f"{number:03} " + "b" * 500, "max_tokens": 100, "priority": "batch", "client": "eval"}
    return GenerationRequest(model="m", raw=True, **(said | more))  # type: ignore[arg-type]


def first_token(desk: Desk, backend: Costing, key: int) -> float:
    """Run until the request `key` has shown a token; what that cost since."""
    start = backend.spent
    seen: list[StreamEvent] = []
    while not any(isinstance(event, Delta) for event in seen):
        desk.runner.turn()
        seen += desk.tickets[key].stream.drain()
        assert not any(isinstance(event, Done | Failed) for event in seen)
    return backend.spent - start


def idle_ttft(request: GenerationRequest) -> float:
    backend = opened()
    desk = Desk(backend, LIMITS)  # type: ignore[arg-type]
    return first_token(desk, backend, desk.submit(request).key)


def test_a_chat_beside_a_batch_of_32_gets_its_first_token_within_twice_the_idle_time() -> None:
    for turns in (0, 1, 3, 10, 40, 120):
        backend = opened()
        desk = Desk(backend, LIMITS)  # type: ignore[arg-type]
        for number in range(32):
            desk.submit(job(number))
        for _ in range(turns):
            desk.runner.turn()
        ttft = first_token(desk, backend, desk.submit(chat()).key)
        assert ttft <= 2 * idle_ttft(chat()), f"after {turns} turns"


def test_the_same_with_an_adapter_of_its_own() -> None:
    """The turn of the batch's adapter group ends at once."""
    request = chat(adapters=(AdapterRef("pirate"),))
    backend = opened()
    desk = Desk(backend, LIMITS)  # type: ignore[arg-type]
    for number in range(32):
        desk.submit(job(number))
    for _ in range(20):
        desk.runner.turn()
    assert first_token(desk, backend, desk.submit(request).key) <= 2 * idle_ttft(request)


def test_a_chat_typed_in_the_middle_of_a_step_breaks_it_off() -> None:
    """Its prompt is put together by another thread while the step is under way."""
    backend = opened()
    desk = Desk(backend, LIMITS, helpers=1)  # type: ignore[arg-type]
    for number in range(6):
        desk.submit(job(number))
    while len(desk.runner._slots.running) < 4:
        desk.runner.turn()
    typed: list[int] = []
    interrupted = threading.Event()
    interrupt = backend._inner.interrupt

    def note() -> None:
        interrupt()
        interrupted.set()

    backend._inner.interrupt = note  # type: ignore[method-assign]

    def type_once() -> None:
        if not typed:
            typed.append(desk.submit(chat()).key)
            assert interrupted.wait(30)

    backend.during = type_once
    before = backend.spent
    desk.runner.turn()
    assert typed and backend.spent == before, "the step under way was given up"
    assert first_token(desk, backend, typed[0]) <= 2 * idle_ttft(chat())


class Slow:
    """A text reader whose one step lasts until it is broken off."""

    holds_memory = True

    def __init__(self, interrupted: threading.Event) -> None:
        self._interrupted = interrupted
        self.begun = threading.Event()
        self.broken_off = False

    def embed_job(self, request: object, adapters: object) -> object:
        return self

    def begin(self, job: object) -> None: ...

    def step(self) -> tuple[()]:
        self.begun.set()
        self.broken_off = self._interrupted.wait(5)
        return ()


def test_a_chat_typed_while_texts_are_read_breaks_that_off() -> None:
    backend = opened()
    interrupted = threading.Event()
    backend._inner.interrupt = interrupted.set  # type: ignore[method-assign]
    slow = Slow(interrupted)
    backend.texts = slow  # type: ignore[attr-defined]
    desk = Desk(backend, LIMITS, helpers=1)  # type: ignore[arg-type]
    desk.runner.ask(Embed(1, EmbedRequest(model="m", inputs=("a long book",)), ()))
    loop = threading.Thread(target=lambda: [desk.runner.turn() for _ in range(2)])
    loop.start()
    assert slow.begun.wait(30)
    desk.submit(chat())
    loop.join()
    assert slow.broken_off


@pytest.mark.parametrize("cells", [1200, 1700])
def test_a_chat_that_finds_a_slot_and_no_cells_has_them_of_a_batch(cells: int) -> None:
    """Two jobs hold nearly all of them; at 1200 they have just had to send a third away."""
    backend = opened(f"scripted:tokens=400,cells={cells}")
    desk = Desk(backend, LIMITS)  # type: ignore[arg-type]
    for number in range(3):
        desk.submit(job(number, max_tokens=400))
    for _ in range(60):
        desk.runner.turn()
    request = chat(prompt="h" * 300)
    assert first_token(desk, backend, desk.submit(request).key) <= 2 * idle_ttft(request)


def test_a_chat_whose_saved_state_is_being_read_comes_in_when_it_is_there(tmp_path: Path) -> None:
    backend = opened()
    desk = Desk(backend, LIMITS, folder=tmp_path)  # type: ignore[arg-type]
    desk.answer(chat(prompt="h" * 600))
    desk.cache.close(60)
    backend = opened("scripted:tokens=1500")
    desk = Desk(backend, LIMITS, folder=tmp_path)  # type: ignore[arg-type]
    jobs = [desk.submit(job(number, max_tokens=1500)) for number in range(4)]
    for _ in range(20):
        desk.runner.turn()
    # The disk has time enough before a job ends.
    backend.during = lambda: time.sleep(0.001)
    ticket = desk.submit(chat(prompt="h" * 700))
    while ticket.terminal is None:
        desk.runner.turn()
    assert Answer(ticket.stream.drain()).cached >= 599
    assert not any(each.terminal for each in jobs)


def test_what_made_way_goes_on_where_it_was() -> None:
    """A batch request loses its slot to a chat, and has computed nothing twice when it is done."""
    backend = opened("scripted:tokens=60")
    desk = Desk(backend, LIMITS)  # type: ignore[arg-type]
    jobs = [desk.submit(job(number, max_tokens=None)) for number in range(4)]
    for _ in range(20):
        desk.runner.turn()
    desk.submit(chat())
    desk.run()
    texts = []
    for ticket in jobs:
        events = ticket.stream.drain()
        assert isinstance(events[-1], Done)
        assert sum(isinstance(event, Admitted) for event in events) == 1
        texts.append("".join(event.text for event in events if isinstance(event, Delta)))
    assert set(texts) == {" ".join(f"w{number}" for number in range(60))}
    # Counted in tokens: what is over the steps themselves.
    computed = (backend.spent - backend.steps * STEP_MS) / TOKEN_MS
    begin = 1
    assert computed == 4 * (begin + 504 + 60) + 60 + 4, "the chat's begin was there already"


def test_one_client_cannot_keep_another_waiting() -> None:
    backend = opened("scripted:tokens=20")
    desk = Desk(backend, LIMITS)  # type: ignore[arg-type]
    for number in range(40):
        desk.submit(job(number, priority="api", client="flood", max_tokens=20))
    for _ in range(5):
        desk.runner.turn()
    other = desk.submit(job(99, priority="api", client="other", max_tokens=20))
    ended = 0
    while other.terminal is None:
        desk.runner.turn()
        ended = sum(each.terminal is not None for each in desk.tickets.values())
    assert ended <= 12, "it came in with the next free slot, not after forty"


def test_the_line_tells_place_and_expected_wait() -> None:
    backend = opened("scripted:tokens=5")
    desk = Desk(backend, LIMITS)  # type: ignore[arg-type]
    tickets = [desk.submit(job(number, priority="api")) for number in range(12)]
    desk.run()
    told = [[event for event in ticket.stream.drain() if isinstance(event, Queued)] for ticket in tickets]
    assert not told[0]
    positions = [event.position for event in told[-1]]
    assert positions == sorted(positions, reverse=True) and positions[-1] == 1 and positions[0] >= 7
    assert told[-1][-1].eta_s is not None, "others had ended by then"
