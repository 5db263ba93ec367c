from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from engine.hub.access import Access
from engine.hub.client import Pace
from engine.hub.service import HubService
from engine.types import PullRequest, PullState
from tests.hub.server import HubServer

QUICK = Pace(first=0.01, most=0.05, tries=6, stall=5.0, connect=5.0, question=1.0)
"""As patient as tests are."""
MIB = 1 << 20
Open = Callable[..., AbstractAsyncContextManager[HubService]]


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that no two places have alike."""
    return random.Random(seed).randbytes(size)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A hub of this test's own."""
    with HubServer() as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder of a model cache that is not there yet."""
    return tmp_path / "hf" / "hub"


@pytest.fixture
def opened(hub: HubServer, cache: Path) -> Open:
    """Opens the room for the hub, with `Access` and `Pace` as the arguments say."""

    @asynccontextmanager
    async def open_it(
        pace: Pace = QUICK, connections: int = 8, **access: object
    ) -> AsyncIterator[HubService]:
        said = Access(**{"endpoint": hub.endpoint, "cache": cache, **access})  # type: ignore[arg-type]
        service = HubService(lambda: said, connections=connections, pace=pace)
        try:
            yield service
        finally:
            await service.close()

    return open_it


async def pulled(service: HubService, model: str, **more: str) -> PullState:
    """The end of a pull."""
    return await service.pull(PullRequest(model=model, **more)).wait()  # type: ignore[arg-type]
