"""A reader who does not read: sending never waits, nothing is lost or out of order."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from engine.runtime.wire import FromWorker, Item, Notice, Piece, Reply, StepFrame, engine_side
from engine.runtime.worker.outbox import MERGE_ABOVE, Outbox
from engine.types import Finished

STEPS = 20_000


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def receive(sock: socket.socket, until: Reply) -> list[FromWorker]:
    decoder = engine_side()
    got: list[FromWorker] = []
    while until not in got:
        got += decoder.feed(sock.recv(1 << 16))
    return got


def test_a_stuck_reader_gets_every_token_later_in_few_frames(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    outbox = Outbox(pair[0])
    for step in range(STEPS):
        outbox.items([Piece(key, step, 0, False, f"{step} ", 1) for key in (1, 2)])
    outbox.items([Notice(1, Finished(reason="stop"))])
    last = Reply(7, text="end")
    outbox.frame(last)
    got = receive(pair[1], last)
    assert outbox.drained(10)
    assert got[-1] == last
    items: list[Item] = [item for frame in got if isinstance(frame, StepFrame) for item in frame.items]
    for key in (1, 2):
        mine = [item for item in items if isinstance(item, Piece) and item.key == key]
        assert "".join(item.text for item in mine) == "".join(f"{step} " for step in range(STEPS))
        assert sum(item.tokens for item in mine) == STEPS
    assert items[-1] == Notice(1, Finished(reason="stop"))
    assert len(got) < STEPS / 2 and len(items) < STEPS, f"merged beyond {MERGE_ABOVE} waiting items"


def test_a_reader_who_is_gone_is_no_error(pair: tuple[socket.socket, socket.socket]) -> None:
    outbox = Outbox(pair[0])
    pair[1].close()
    for step in range(100):
        outbox.items([Piece(1, step, 0, False, "x", 1)])
    assert outbox.drained(10)
