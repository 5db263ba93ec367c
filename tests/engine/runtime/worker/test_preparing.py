"""Prompts with pictures are put together beside those of words, in order, and not before they are wanted."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from PIL import Image

from engine.runtime.backends.llama.backend import LlamaBackend
from engine.runtime.backends.media import Span
from engine.runtime.limits import Limits
from engine.runtime.ticket import Ticket
from engine.types import Done, Failed, GenerationRequest, ImagePart, Message, TextPart
from tests.engine.llama.driving import opened
from tests.engine.runtime.worker.desk import LIMITS, Desk
from tests.weights.gguf_vision import tiny_qwen_vl

PATIENCE = 20.0
"""Seconds after which a test has failed."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tiny_qwen_vl(tmp_path_factory.mktemp("vision"), "qwen2vl")


@pytest.fixture
def backend(weights: tuple[Path, Path]) -> Iterator[LlamaBackend]:
    made = opened(*weights, context=256, slots=2)
    yield made
    made.close()


class Eyes:
    """The eyes of a model, which look when they are let: `seen` are the shades of red of what they looked at."""

    def __init__(self, backend: LlamaBackend, told: Callable[[], None] = lambda: None) -> None:
        media: Any = backend.media
        self.let, self.begun = threading.Event(), threading.Event()
        self.seen: list[bytes] = []
        encode = media.encode

        def slowly(span: Span) -> Span:
            self.seen.append(span.key)
            self.begun.set()
            told()
            assert self.let.wait(PATIENCE)
            found: Span = encode(span)
            return found

        media.encode = slowly


class Running:
    """A desk whose runner runs in a thread of its own."""

    def __init__(self, backend: LlamaBackend, limits: Limits = LIMITS) -> None:
        self.desk = Desk(backend, limits, helpers=2)
        self._thread = threading.Thread(target=self.desk.runner.run)
        self._ended = threading.Condition()
        take = self.desk.runner._emit

        def emit(items: list[Any]) -> None:
            with self._ended:
                take(items)
                self._ended.notify_all()

        self.desk.runner._emit = emit

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *what: object) -> None:
        self.desk.runner.stop()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def submit(self, request: GenerationRequest) -> Ticket:
        return self.desk.submit(request)

    def end(self, *tickets: Ticket) -> list[Done | Failed]:
        with self._ended:
            assert self._ended.wait_for(lambda: all(each.terminal for each in tickets), PATIENCE), "It hangs."
        return [each.terminal for each in tickets if each.terminal is not None]


def look(shade: int, **more: Any) -> GenerationRequest:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (shade, 0, 0)).save(file, "PNG")
    message = Message(role="user", content=(ImagePart(data=file.getvalue()), TextPart("What?")))
    return GenerationRequest(model="m", messages=(message,), max_tokens=2, **more)


TALK = GenerationRequest(model="m", prompt="Hello", max_tokens=2)


def test_words_do_not_wait_for_pictures(backend: LlamaBackend) -> None:
    eyes = Eyes(backend)
    with Running(backend) as running:
        pictures = [running.submit(look(shade)) for shade in range(4)]
        assert eyes.begun.wait(PATIENCE)
        (said,) = running.end(running.submit(TALK))
        assert isinstance(said, Done) and len(eyes.seen) == 1
        eyes.let.set()
        assert all(isinstance(each, Done) for each in running.end(*pictures))


def test_nobody_looks_for_those_who_are_gone(backend: LlamaBackend) -> None:
    """Refused, since too many wait, or cancelled."""
    eyes = Eyes(backend)
    with Running(backend, replace(LIMITS, queue_api=4)) as running:
        tickets = [running.submit(look(shade)) for shade in range(20)]
        assert eyes.begun.wait(PATIENCE)
        refused = running.end(*tickets[6:])
        assert all(isinstance(each, Failed) for each in refused)
        for ticket in tickets[:6]:
            running.desk.runner.cancel(ticket.key)
        assert {each.reason for each in running.end(*tickets[:6])} == {"cancelled"}  # type: ignore[union-attr]
        eyes.let.set()
        (last,) = running.end(running.submit(look(99)))
        assert isinstance(last, Done)
    # The one that was looked at, perhaps the one that was next, and the last.
    assert len(eyes.seen) <= 3


def test_a_screen_comes_first(backend: LlamaBackend) -> None:
    eyes = Eyes(backend)
    with Running(backend) as running:
        crowd = [running.submit(look(shade, priority="batch")) for shade in range(12)]
        assert eyes.begun.wait(PATIENCE)
        screen = running.submit(look(99, priority="interactive"))
        eyes.let.set()
        running.end(screen)
        assert sum(each.terminal is not None for each in crowd) < 6
        running.end(*crowd)
    assert len(set(eyes.seen)) == 13


def test_a_long_queue_is_not_looked_at_in_advance(backend: LlamaBackend) -> None:
    """What comes of a picture takes far more memory than its file."""
    ahead: list[int] = []
    tickets: list[Ticket] = []
    eyes = Eyes(
        backend, lambda: ahead.append(len(eyes.seen) - sum(each.terminal is not None for each in tickets))
    )
    eyes.let.set()
    with Running(backend) as running:
        tickets += [running.submit(look(shade, priority="batch")) for shade in range(30)]
        assert all(isinstance(each, Done) for each in running.end(*tickets))
    # Those in the two slots, as many waiting and one more, and two that are being looked at.
    assert len(eyes.seen) == 30 and max(ahead) <= 2 + 3 + 2


def test_who_is_cancelled_has_no_more_pictures_looked_at(backend: LlamaBackend) -> None:
    eyes = Eyes(backend)
    parts = tuple(part for shade in range(6) for part in look(shade).messages[0].content)  # type: ignore[index]
    with Running(backend) as running:
        ticket = running.submit(
            GenerationRequest(model="m", messages=(Message(role="user", content=parts),), max_tokens=2)  # type: ignore[arg-type]
        )
        assert eyes.begun.wait(PATIENCE)
        running.desk.runner.cancel(ticket.key)
        running.end(ticket)
        eyes.let.set()
        running.end(running.submit(look(99)))
    assert len(eyes.seen) == 2


def test_an_idle_model_gives_up_what_it_saw(backend: LlamaBackend) -> None:
    eyes = Eyes(backend)
    eyes.let.set()
    desk = Desk(backend)
    for _ in range(2):
        assert desk.answer(look(1)).usage.image_tokens
    assert len(eyes.seen) == 1
    desk.runner.shrink()
    desk.runner.turn()
    assert desk.answer(look(1)).usage.image_tokens and len(eyes.seen) == 2


def test_a_model_is_not_freed_while_it_looks(backend: LlamaBackend) -> None:
    eyes = Eyes(backend)
    running = Running(backend)
    with running:
        running.submit(look(1))
        assert eyes.begun.wait(PATIENCE)
        running.desk.runner.stop()
        running._thread.join(0.2)
        assert running._thread.is_alive()
        eyes.let.set()
