"""Models of Ollama's own store by Ollama's own names: who pointed a client at Ollama finds here what was there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from api import Server
from engine import LocalEngine
from engine.paths import resolve
from engine.settings import Settings
from starter import gguf_path
from tests.ollama import layer, manifest


def test_a_client_finds_the_models_that_it_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "ollama"
    said = [
        layer(store, "model", gguf_path()),
        layer(store, "system", "Answer in one word."),
        layer(store, "params", {"temperature": 0, "num_predict": 6, "stop": ["zebra"], "num_ctx": 256}),
        layer(store, "messages", [{"role": "user", "content": "hi"}]),
    ]
    for name in ("lamp:4m", "lamp"):
        manifest(store, name, said)
    monkeypatch.setenv("OLLAMA_MODELS", str(store))
    paths = resolve({"HEARTH_HOME": str(tmp_path / "home")})
    engine = LocalEngine(Settings(), screen_attached=False, paths=paths)
    server = Server(engine, Settings(), paths=paths, port=0)
    server.start()
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert "lamp:4m" in {model["name"] for model in client.get("/api/tags").json()["models"]}
            shown = client.post("/api/show", json={"model": "lamp:latest"}).json()
            assert shown["system"] == "Answer in one word." and "zebra" in shown["parameters"]
            assert shown["messages"] == [{"role": "user", "content": "hi"}]
            asked = {"model": "lamp", "messages": [{"role": "user", "content": "Where?"}], "stream": False}
            answer = client.post("/api/chat", json=asked).json()
            assert answer["message"]["content"] and answer["eval_count"] <= 6
            (running,) = client.get("/api/ps").json()["models"]
            assert (running["name"], running["context_length"]) == ("lamp:4m", 256)
    finally:
        server.stop(now=True)
        asyncio.run(engine.close())
