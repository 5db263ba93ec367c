"""Pulls and deletions through the server, from a hub on this machine."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api import Server
from engine import LocalEngine
from engine.paths import resolve
from engine.settings import Hub, Settings
from tests.api.wire import lines, sse
from tests.hub.server import HubServer

EMBER = Path(__file__).parents[2] / "starter" / "ember" / "ember-q8_0.gguf"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as made:
        made.add("org/tiny-GGUF", {"README.md": b"# tiny\n", "tiny-Q8_0.gguf": EMBER.read_bytes()})
        yield made


@pytest.fixture
def client(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Of a server whose engine has a home and a cache of its own."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    paths = resolve({"HEARTH_HOME": str(tmp_path / "home")})
    settings = Settings(hub=Hub(endpoint=hub.endpoint))
    engine = LocalEngine(settings, screen_attached=False, paths=paths)
    server = Server(engine, settings, paths=paths, port=0)
    server.start()
    with httpx.Client(base_url=server.url, timeout=60) as made:
        made.headers["x-api-key"] = server.hub.token
        yield made
    server.stop(now=True)
    asyncio.run(engine.close())


def names(client: httpx.Client) -> list[str]:
    time.sleep(1.1)  # lists are believed for a second
    return [model["name"] for model in client.get("/api/tags").json()["models"]]


def test_a_model_is_pulled_asked_and_deleted(client: httpx.Client) -> None:
    told = lines(client.post("/api/pull", json={"model": "hf.co/org/tiny-GGUF:Q8_0"}))
    words = [one["status"] for one in told]
    assert words[0] == "pulling manifest" and words[-1] == "success"
    bars = [one for one in told if "total" in one]
    assert bars[-1]["completed"] == bars[-1]["total"] > 3_000_000
    assert len({one["digest"] for one in bars}) == 1 and bars[0]["digest"].startswith("sha256:")
    name = next(one for one in names(client) if "tiny" in one)
    ask = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
    assert client.post("/v1/chat/completions", json=ask).json()["usage"]["completion_tokens"] == 3
    again = client.post("/api/pull", json={"model": "org/tiny-GGUF:Q8_0", "stream": False})
    assert again.json() == {"status": "success"}
    gone = client.request("DELETE", "/api/delete", json={"model": name})
    assert gone.status_code == 200, gone.text
    assert not any("tiny" in one for one in names(client))


def test_what_cannot_be_pulled_or_deleted_is_said_by_status(client: httpx.Client) -> None:
    for stream in (False, True):
        missing = client.post("/api/pull", json={"model": "org/nothing", "stream": stream})
        assert missing.status_code == 404 and missing.json()["error"]
    assert client.request("DELETE", "/api/delete", json={"model": "nobody/here"}).status_code == 404
    kept = client.request("DELETE", "/api/delete", json={"model": "ember"})
    assert kept.status_code == 400 and EMBER.exists()


def test_a_client_that_leaves_gives_its_pull_up(hub: HubServer, client: httpx.Client) -> None:
    gate = threading.Event()
    # What is looked at before, the header of the file, comes at once.
    hub.faults.append(lambda handler, etag, part, begin: begin >= 2**20 and gate.wait(20) and False)
    ended = ("done", "cancelled", "failed")

    def stages() -> list[str]:
        return [row["stage"] for row in client.get("/hearth/v1/pulls").json()]

    try:
        with client.stream("POST", "/api/pull", json={"model": "org/tiny-GGUF"}) as response:
            told = response.iter_lines()
            assert json.loads(next(told))["status"] == "pulling manifest"
            assert [stage for stage in stages() if stage not in ended]
        deadline = time.monotonic() + 20
        while stages() != ["cancelled"]:
            assert time.monotonic() < deadline, stages()
            time.sleep(0.05)
    finally:
        gate.set()


def test_the_native_routes_of_the_hub(client: httpx.Client) -> None:
    page = client.post("/hearth/v1/search_hub", json={"text": "tiny"}).json()
    assert [model["id"] for model in page["models"]] == ["org/tiny-GGUF"]
    files = client.post("/hearth/v1/hub_files", json={"model": "org/tiny-GGUF"}).json()
    assert files["quantisations"][0]["name"] == "Q8_0"
    plan = client.post("/hearth/v1/plan_pull", json={"model": "org/tiny-GGUF"}).json()
    assert plan["missing"] > 3_000_000
    states = [
        json.loads(data)
        for _, data in sse(client.post("/hearth/v1/pull", json={"model": "org/tiny-GGUF"}).text)
    ]
    assert states[-1]["stage"] == "done"
    assert client.get("/hearth/v1/cache").json()["repositories"][0]["id"] == "org/tiny-GGUF"
    assert client.post("/hearth/v1/verify_weights", json={"model": "org/tiny-GGUF"}).json()["damaged"] == []
    would = client.post("/hearth/v1/delete_weights", json={"model": "org/tiny-GGUF", "dry_run": True}).json()
    assert would["size"] > 3_000_000
    assert client.post("/hearth/v1/cache_prune", json={"dry_run": True}).status_code == 200
    assert client.get("/hearth/v1/interrupted_pulls").json() == []
    assert (
        client.post("/hearth/v1/hub_card", json={"model": "org/tiny-GGUF"})
        .json()["text"]
        .startswith("# tiny")
    )
