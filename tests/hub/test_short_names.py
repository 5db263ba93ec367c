"""Models asked for by the short names that people know, and by names that nobody knows."""

from __future__ import annotations

import pytest

from engine.errors import InvalidRequest
from engine.hub.reference import Reference, parse
from engine.types import PullRequest
from tests.hub.conftest import Open, pulled
from tests.hub.server import HubServer

LLAMA = "bartowski/Llama-3.2-3B-Instruct-GGUF"


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("llama3.2", Reference(LLAMA)),
        ("Llama3.2:latest", Reference(LLAMA)),
        ("llama3.2:Q8_0", Reference(LLAMA, "Q8_0")),
        ("llama3.2:1b", Reference("bartowski/Llama-3.2-1B-Instruct-GGUF")),
        ("llama3.2:1b:Q8_0", Reference("bartowski/Llama-3.2-1B-Instruct-GGUF", "Q8_0")),
        ("llama3.2@v1", Reference(LLAMA, "", "v1")),
    ],
)
def test_a_well_known_name_is_its_repository(name: str, reference: Reference) -> None:
    assert parse(name) == reference


async def test_a_well_known_name_is_pulled(hub: HubServer, opened: Open) -> None:
    hub.add(LLAMA, {"llama-Q4_K_M.gguf": bytes(100)}, about={"tags": ["gguf"]})
    async with opened() as service:
        state = await pulled(service, "llama3.2")
    assert state.error is None or state.error.code != "invalid_request"
    assert state.model.startswith(LLAMA)


async def test_an_unknown_name_is_answered_with_the_best_hits(hub: HubServer, opened: Open) -> None:
    for number in range(5):
        hub.add(f"org/wombat-{number}", {"x.gguf": b"x"}, about={"tags": ["gguf"], "downloads": number})
    async with opened() as service:
        state = await pulled(service, "wombat:Q4_K_M")
        assert state.stage == "failed" and state.error is not None
        assert "org/wombat-4, org/wombat-3, org/wombat-2." in state.error.fix
        with pytest.raises(InvalidRequest, match="org/wombat-4"):
            await service.plan(PullRequest(model="wombat"))
        nothing = await pulled(service, "quokka")
        assert nothing.error is not None and "org/name" in nothing.error.fix
    async with opened(endpoint="http://127.0.0.1:9") as service:
        alone = await pulled(service, "wombat")
        assert alone.error is not None and "org/name" in alone.error.fix
