"""Everything at once: many files, and a network and a server that fail in every way, at places that chance names."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.hub.partial import PIECE
from tests.hub.conftest import MIB, QUICK, Open, noise, pulled
from tests.hub.server import Handler, HubServer, answering, dropped, flipped, stalled

NAME = "org/weather-MLX"


class Weather:
    """A fault that is sound as often as not. Wrong bytes come once a file, since twice would be the end."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._wrong: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, handler: Handler, etag: str, part: bytes, begin: int) -> bool:
        with self._lock:
            draw = self._chance.random()
            wrong = 0.27 <= draw < 0.35 and etag not in self._wrong
            if wrong:
                self._wrong.add(etag)
        if draw < 0.15:
            return dropped(handler, etag, part, begin)
        if draw < 0.25:
            return answering(503, Retry_After="0")(handler, etag, part, begin)
        if draw < 0.27:
            return stalled(handler, etag, part, begin)
        if wrong:
            return flipped(handler, etag, part, begin)
        return False


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_the_weather_what_arrives_is_what_was_sent(
    hub: HubServer, opened: Open, cache: Path, seed: int
) -> None:
    files = {
        "config.json": b"{}",
        "tokenizer.json": noise(20_000, seed),
        **{f"model-{n:05}-of-00003.safetensors": noise(n * MIB + 77, seed + n) for n in (1, 2, 3)},
    }
    hub.add(NAME, files)
    hub.expires = 3
    hub.faults = [Weather(seed)]
    async with opened(replace(QUICK, stall=0.5, tries=12)) as service:
        state = await pulled(service, NAME)
    assert state.stage == "done", state.error
    assert contents(state.path) == files
    # Wrong bytes once a file cost that file twice at most, and what broke off nothing.
    assert hub.bytes_served <= 2 * sum(map(len, files.values())) + 8 * PIECE


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}
