"""The hub's own routes, llama-server's, and the native ones."""

from __future__ import annotations

import json

import httpx
import msgspec
import pytest

from api import Server
from engine.types import Done, GenerationRequest, ModelEntry, StreamEvent
from tests.api.wire import HELLO, sse


def test_health_and_status(client: httpx.Client) -> None:
    client.post("/api/generate", json={"model": "ember", "prompt": ""})
    for path in ("/health", "/healthz", "/v1/health"):
        found = client.get(path).json()
        assert (found["status"], found["backend"], found["load_error"]) == ("ok", "llama", None)
        assert "ember" in found["models"]
    assert client.get("/", headers={"accept": "application/json"}).json()["status"] == "ok"


def test_chat_and_adapters(client: httpx.Client) -> None:
    ask = {"prompt": "Hello", "max_tokens": 6, "temperature": 0}
    base = client.post("/chat", json=ask).json()
    assert (base["model"], base["adapter"]) == ("ember", None)
    assert base["usage"]["completion_tokens"] == 6 and base["timings"]["predicted_n"] == 6
    try:
        loaded = client.post("/adapters/load", json={"adapter_name": "pirate"}).json()
        assert loaded == {"status": "ok", "model": "ember", "adapter": "pirate"}
        with_it = client.post("/chat", json=ask).json()
        assert with_it["adapter"] == "pirate" and with_it["response"] != base["response"]
        assert next(one["default"] for one in client.get("/adapters").json()["adapters"])
        asked = client.post("/chat", json={**ask, "model": "ember:base"}).json()
        assert asked["response"] == base["response"]
    finally:
        client.post("/adapters/load", json={"adapter_name": "none"})
    assert client.post("/chat", json=ask).json()["response"] == base["response"]
    assert client.post("/adapters/load", json={"adapter_name": "nobody"}).status_code == 404
    assert client.post("/chat", json={"prompt": ""}).status_code == 400
    assert client.post("/chat", json={"prompt": "x", "adapter": "../../x"}).status_code == 400


def test_requests_are_listed_and_cancelled_by_id(client: httpx.Client) -> None:
    ask = {"model": "scripted:tokens=100000,delay_ms=5,context=200000", "messages": HELLO, "stream": True}
    with client.stream("POST", "/v1/chat/completions", json=ask) as response:
        id = response.headers["x-request-id"]
        pieces = response.iter_text()
        next(pieces)
        rows = client.get("/requests").json()["requests"]
        assert [row["state"] for row in rows if row["id"] == id] == ["decode"]
        assert client.delete(f"/requests/{id}").json()["cancelled"] is True
        rest = "".join(pieces)
    assert json.loads(list(sse(rest))[-1][1])["error"]["code"] == "cancelled"
    assert client.delete(f"/requests/{id}").status_code == 404


def test_texts_become_tokens_and_back(client: httpx.Client) -> None:
    tokens = client.post("/tokenize", json={"content": "The sky is blue. Ünïcødé."}).json()["tokens"]
    back = client.post("/detokenize", json={"tokens": tokens}).json()
    assert back["content"] == back["prompt"] == "The sky is blue. Ünïcødé."
    prompt = client.post("/apply-template", json={"messages": HELLO}).json()["prompt"]
    assert "Hello" in prompt
    assert client.post("/detokenize", json={"tokens": [-1]}).status_code == 400


def test_completion_in_llama_servers_form(client: httpx.Client) -> None:
    ask = {"prompt": "The sky", "n_predict": 3, "temperature": 0}
    whole = client.post("/completion", json=ask).json()
    assert (whole["stop"], whole["stop_type"], whole["tokens_predicted"]) == (True, "limit", 3)
    pieces = [
        json.loads(data) for _, data in sse(client.post("/completion", json={**ask, "stream": True}).text)
    ]
    assert "".join(piece["content"] for piece in pieces) == whole["content"]
    assert [piece["stop"] for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    several = client.post("/completion", json={**ask, "prompt": ["The sky", "Hello"]}).json()
    assert [one["index"] for one in several] == [0, 1] and several[0]["content"] == whole["content"]
    mixed = client.post("/completion", json={**ask, "prompt": ["The sky"], "n_probs": 2}).json()
    assert len(mixed["completion_probabilities"]) == 3
    short = client.post(
        "/completion", json={**ask, "response_fields": ["content", "timings/predicted_n"]}
    ).json()
    assert short == {"content": whole["content"], "predicted_n": 3}
    held = client.post("/completion", json={**ask, "grammar": 'root ::= "yes" | "no"'}).json()
    assert held["content"] in ("yes", "no")
    assert client.post("/infill", json={"input_prefix": "a", "input_suffix": "b"}).status_code == 400
    assert client.post("/rerank", json={"query": "a", "documents": ["b"]}).status_code == 400


def test_metrics_props_slots_and_adapter_scales(client: httpx.Client) -> None:
    before = client.get("/metrics").text
    client.post("/completion", json={"prompt": "Hello", "n_predict": 3})
    after = client.get("/metrics").text

    def value(page: str) -> float:
        line = next(line for line in page.splitlines() if line.startswith("llamacpp:tokens_predicted_total "))
        return float(line.split()[1])

    assert value(after) == value(before) + 3
    assert 'hearth_model_resident_bytes{model="ember"}' in after
    assert len(client.get("/slots").json()) == client.get("/props").json()["total_slots"] == 4
    assert client.get("/props").json()["default_generation_settings"]["n_ctx"] == 2048
    assert client.get("/lora-adapters").json() == [{"id": 0, "path": "pirate", "scale": 0.0}]
    try:
        assert client.post("/lora-adapters", json=[{"id": 0, "scale": 0.5}]).status_code == 200
        assert client.get("/lora-adapters").json()[0]["scale"] == 0.5
    finally:
        client.post("/lora-adapters", json=[])
    assert client.post("/lora-adapters", json=[{"id": 7}]).status_code == 400


def test_models_come_and_go_as_in_the_router(client: httpx.Client) -> None:
    def loaded() -> list[str]:
        return [one["name"] for one in client.get("/api/ps").json()["models"]]

    assert client.post("/models/load", json={"model": "ember"}).json() == {"success": True}
    assert "ember:latest" in loaded()
    assert client.post("/models/unload", json={"model": "ember"}).json() == {"success": True}
    assert "ember:latest" not in loaded()
    assert client.post("/models/load", json={}).status_code == 400
    assert client.post("/models/load", json={"model": "nobody"}).status_code == 404
    saved = client.post("/slots/0?action=save", json={"filename": "x"})
    assert saved.status_code == 501 and saved.json()["error"]["type"] == "not_supported_error"
    client.post("/api/copy", json={"source": "ember", "destination": "spark"})
    assert client.delete("/v1/models/spark").json() == {"id": "spark", "object": "model", "deleted": True}
    assert client.delete("/v1/models/spark").status_code == 404
    assert client.delete("/v1/models/ember").status_code == 400


def test_native_routes_speak_the_engines_own_structs(client: httpx.Client, server: Server) -> None:
    client.headers["authorization"] = f"Bearer {server.hub.token}"
    ask = GenerationRequest(model="ember", prompt="Hello", max_tokens=3, id="mine")
    response = client.post("/hearth/v1/generate", content=msgspec.json.encode(ask))
    found = [msgspec.json.decode(data, type=StreamEvent) for _, data in sse(response.text)]
    assert [event.seq for event in found] == list(range(len(found)))
    assert isinstance(found[-1], Done) and found[-1].usage.completion_tokens == 3
    entries = msgspec.json.decode(client.get("/hearth/v1/models").content, type=list[ModelEntry])
    assert "ember" in [entry.id for entry in entries]
    tokens = client.post("/hearth/v1/tokenize", json={"model": "ember", "text": "Hello"}).json()["tokens"]
    assert (
        client.post("/hearth/v1/detokenize", json={"model": "ember", "tokens": tokens}).json()["text"]
        == "Hello"
    )
    assert client.post("/hearth/v1/count", content=msgspec.json.encode(ask)).json() == {"count": 9}
    assert client.post("/hearth/v1/facts", json={"model": "ember"}).json()["architecture"] == "llama"
    assert client.post("/hearth/v1/load", json={"model": "ember", "keep_alive": "x"}).status_code == 400
    assert client.get("/hearth/v1/request_log?limit=1").json()[0]["id"]
    for name in ("loaded", "running", "logs", "model_log", "http_log"):
        assert isinstance(client.get(f"/hearth/v1/{name}").json(), list)


@pytest.mark.parametrize(
    "changes",
    [
        {
            "messages": [{"role": "user", "content": [{"type": "image", "path": "/etc/passwd"}]}],
            "prompt": None,
        },
        {"images": [{"type": "image", "path": "/etc/passwd"}]},
        {"adapters": [["/etc/passwd", 1.0]]},
        {"adapters": [{"name": "../x.gguf"}]},
        {"model": "/etc/passwd"},
        {"load": {"draft_model": "../../x.gguf"}},
    ],
)
def test_native_requests_name_no_files(
    client: httpx.Client, server: Server, changes: dict[str, object]
) -> None:
    client.headers["authorization"] = f"Bearer {server.hub.token}"
    body = {"model": "ember", "prompt": "x", "max_tokens": 1, **changes}
    response = client.post("/hearth/v1/generate", json=body)
    assert response.status_code in (400, 404), response.text
    assert "root:" not in response.text


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/api/nothing", "/v1/messages/nothing"])
def test_what_is_not_there_is_a_404_in_its_own_dialect(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404 and "error" in response.json()


def test_a_wrong_method_is_a_405(client: httpx.Client) -> None:
    refused = client.get("/v1/chat/completions")
    assert refused.status_code == 405 and "POST" in refused.headers["allow"]
    assert client.put("/api/chat", json={}).status_code == 405
