"""SIGTERM to a serving process with streams open: each gets its final event, and the process ends in time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.terminal import environment, hearth

HELLO = [{"role": "user", "content": "Count as far as you can."}]
ASKS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": HELLO, "stream": True},
    "/v1/responses": {"input": "Count as far as you can.", "stream": True},
    "/v1/messages": {"messages": HELLO, "stream": True, "max_tokens": 100_000},
    "/api/chat": {"messages": HELLO, "stream": True},
    "/completion": {"prompt": "One, two, three,", "stream": True, "ignore_eos": True},
}
"""Any model goes on with these until its window is full, and Ollama's for ever."""


def ended_in_words(path: str, text: str) -> bool:
    """Whether a stream has its protocol's last word: that it is complete, or why it is not."""
    if path.startswith("/api/"):
        last = json.loads(text.splitlines()[-1])
        return bool(last.get("done")) or "error" in last
    block = text.rstrip().split("\n\n")[-1]
    if path == "/v1/messages":
        return block.startswith(("event: message_stop", "event: error"))
    if path == "/completion":
        last = json.loads(block.removeprefix("data: ").removeprefix("error: "))
        return last.get("stop") is True or "error" in last
    return block == "data: [DONE]" or '"error"' in block


async def drained(url: str, count: int, stop: Any) -> list[tuple[str, httpx.Response]]:
    """Open `count` streams, call `stop` when the first have begun, and read all of them to their ends."""
    begun = asyncio.Event()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:

        async def read(place: int) -> tuple[str, httpx.Response]:
            path = list(ASKS)[place % len(ASKS)]
            body = {"model": "ember", "options": {"temperature": 1.0}, **ASKS[path]}
            async with client.stream("POST", path, json=body) as response:
                pieces = []
                async for piece in response.aiter_bytes():
                    pieces.append(piece)
                    if len(pieces) > 2:
                        begun.set()
                response._content = b"".join(pieces)
                return path, response

        reading = [asyncio.create_task(read(place)) for place in range(count)]
        await asyncio.wait_for(begun.wait(), 60)
        stop()
        return await asyncio.gather(*reading)


def check(home: Path, count: int, patience: float, **extra: str) -> None:
    process = subprocess.Popen(
        hearth("serve", "--port", "0"),
        env=environment(home, **extra),
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
    )
    try:
        assert process.stderr is not None
        url = process.stderr.readline().split()[3]
        ask = {"model": "ember", "prompt": ""}
        assert httpx.post(url + "/api/generate", json=ask, timeout=60).status_code == 200
        ends = asyncio.run(drained(url, count, lambda: os.kill(process.pid, signal.SIGTERM)))
        assert process.wait(patience) == 0
        process.stderr.close()
    finally:
        process.kill()
        process.wait()
    assert len(ends) == count
    for path, response in ends:
        text = response.content.decode()
        if response.status_code == 200:
            assert ended_in_words(path, text), (path, text[-300:])
        else:
            # One that waited in the line has no head yet: it is told by its status.
            assert response.status_code in (503, 529) and "shutting down" in text, (path, text)
    assert any(response.status_code == 200 for _, response in ends)


def test_every_stream_gets_its_last_word(hearth_home: Path) -> None:
    check(hearth_home, 5, 10, HEARTH_SERVER__DRAIN_SECONDS="0.5")


@pytest.mark.long
def test_fifty_streams_get_their_last_word_within_the_time_that_is_promised(hearth_home: Path) -> None:
    check(hearth_home, 50, 12)
