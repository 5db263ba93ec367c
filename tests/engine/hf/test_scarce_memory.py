"""Memory that runs out while state is copied, as on a GPU that is full: it costs what is kept, and nobody an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from engine.errors import InsufficientMemory
from engine.runtime.backends.base import Row
from engine.runtime.backends.folder.backend import FolderBackend
from engine.runtime.backends.hf.holders import Holders
from engine.types import GenerationRequest
from tests.engine.hf.driving import go_on, insert, opened, prefill
from tests.engine.runtime.worker.desk import Desk
from tests.weights.hf_folders import write_hf

SLOTS, SHELF = 3, 3
TEXT = [*b"All happy families are alike; every unhappy family is unhappy in its own way."]


class Card:
    """A GPU in whose stead `Holders` are told that there is no memory left, for holders that `full` names."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.full: range = range(0)
        self.refused = 0
        write = Holders.write

        def writing(holders: Holders, holder: int, layer: int, *state: Any) -> Any:
            # In the midst of it: the first layer had its room.
            if holder in self.full and layer:
                self.refused += 1
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            return write(holders, holder, layer, *state)

        patch.setattr(Holders, "write", writing)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    return Card(monkeypatch)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderBackend]:
    made = opened(write_hf(tmp_path_factory.mktemp("hf") / "mistral", "mistral"))
    yield made
    made.close()


@pytest.fixture
def backend(loaded: FolderBackend) -> FolderBackend:
    loaded.rebuild()
    return loaded


def asked(name: str) -> GenerationRequest:
    prompt = f"{name} {bytes(TEXT).decode()}"
    return GenerationRequest(model="m", prompt=prompt, raw=True, max_tokens=20, sampling={"temperature": 0.0})


def test_a_copy_that_does_not_fit_is_an_error_and_leaves_what_was_there(
    backend: FolderBackend, card: Card
) -> None:
    insert(backend, TEXT)
    first = prefill(backend, 0, len(TEXT))
    state = bytes(backend.save(0, 20))
    backend.share(0, SHELF, 0, 20)
    card.full = range(SHELF, SHELF + 3)
    with pytest.raises(InsufficientMemory, match="not enough memory"):
        backend.share(0, SHELF, 20, 40)
    with pytest.raises(InsufficientMemory):
        backend.share(0, SHELF + 1, 0, 40)
    with pytest.raises(InsufficientMemory):
        backend.restore(SHELF + 2, state, 20)
    held = backend.memory().kv_cache
    card.full = range(0)
    backend.share(0, SHELF, 20, len(TEXT))
    backend.share(0, SHELF + 1, 0, 40)
    backend.restore(SHELF + 2, state, 20)
    assert backend.memory().kv_cache > held
    expected = go_on(backend, 0, 1, 8)
    insert(backend, [*TEXT, first], slot=1)
    backend.share(SHELF, 1, 0, len(TEXT))
    assert go_on(backend, 1, 1, 8) == expected
    for shelf in range(SHELF, SHELF + 3):
        backend.cut(shelf, 0)
    assert backend.memory().kv_cache == 0


@pytest.mark.parametrize("full", [range(SLOTS, 99), range(SLOTS)], ids=["shelves", "slots"])
def test_nobody_loses_an_answer_where_nothing_can_be_kept_or_taken_over(
    backend: FolderBackend, card: Card, monkeypatch: pytest.MonkeyPatch, full: range
) -> None:
    share = backend.share

    def sharing(source: int, target: int, start: int, stop: int) -> None:
        # What a step writes has its room; copies have none.
        card.full = full
        try:
            share(source, target, start, stop)
        finally:
            card.full = range(0)

    requests = [asked(name) for name in ("one", "two", "one")]
    alone = Desk(backend)
    expected = [alone.answer(each).text for each in requests]
    backend.rebuild()
    desk = Desk(backend)
    desk.answer(requests[0])
    with monkeypatch.context() as patch:
        patch.setattr(backend, "share", sharing)
        assert [desk.answer(each).text for each in requests] == expected
    assert card.refused
    desk.answer(requests[1])
    assert desk.answer(requests[1]).cached > 0, "what can be kept again is"


def test_rows_that_make_way_need_no_memory_for_it(
    backend: FolderBackend, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a step itself ran out, a sequence is put back and, if that can be, kept."""
    requests = [asked(name) for name in ("one", "two")]
    alone = Desk(backend)
    expected = [alone.answer(each).text for each in requests]
    backend.rebuild()
    step, desk = backend.step, Desk(backend)

    def stepping(rows: list[Row]) -> Any:
        running = desk.runner._slots.running.values()
        if len(running) > 1 and all(choice.decoding for choice in running):
            card.full = range(SLOTS, 99)
            raise InsufficientMemory("There is not enough memory for m.")
        return step(rows)

    monkeypatch.setattr(backend, "step", stepping)
    tickets = [desk.submit(each) for each in requests]
    desk.run()
    assert card.refused
    texts = ["".join(getattr(event, "text", "") for event in ticket.stream.drain()) for ticket in tickets]
    assert texts == expected
