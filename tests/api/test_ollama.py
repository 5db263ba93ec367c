"""Ollama's routes, by the words and shapes that its clients check."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import httpx
import pytest

from tests.api.test_native import PNG
from tests.api.wire import HELLO, LOOK, lines

FAST = {"temperature": 0, "num_predict": 8}
ASK: dict[str, Any] = {"model": "ember", "messages": HELLO, "options": FAST}
TOOL = {"type": "function", "function": {"name": "look", "parameters": LOOK}}
FIGURES = {
    "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration",
}  # fmt: skip
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
THINKER = "scripted:thinking=true,text=<think>so it is</think>yes indeed"


def chat(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("/api/chat", json=ASK | changes)


def generate(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("/api/generate", json={"model": "ember", "prompt": "Hello", "options": FAST} | changes)


def test_it_says_that_it_runs(client: httpx.Client) -> None:
    assert client.get("/").text == "Ollama is running"
    for path in ("/", "/api/version", "/api/tags"):
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
    assert tuple(map(int, client.get("/api/version").json()["version"].split("."))) >= (0, 35, 0)


def test_a_chat_streams_unless_told_otherwise(client: httpx.Client) -> None:
    pieces = lines(chat(client))
    whole = chat(client, stream=False).json()
    assert "".join(piece["message"]["content"] for piece in pieces) == whole["message"]["content"] != ""
    assert [piece["done"] for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    for answer in (pieces[-1], whole):
        assert answer["done_reason"] == "length"
        assert all(isinstance(answer[name], int) and answer[name] > 0 for name in FIGURES)
        assert answer["eval_count"] == 8
    assert all(MOMENT.fullmatch(piece["created_at"]) and piece["model"] == "ember" for piece in pieces)


def test_generate_remembers_by_its_context(client: httpx.Client) -> None:
    first = generate(client, prompt="My name is Bob.", stream=False).json()
    assert first["context"] and all(isinstance(token, int) for token in first["context"])
    second = generate(client, prompt="And?", context=first["context"], stream=False).json()
    assert second["context"][: len(first["context"])] == first["context"]
    assert second["prompt_eval_count"] > first["prompt_eval_count"] + first["eval_count"]
    assert lines(generate(client))[-1]["context"]


def test_an_empty_prompt_loads_and_unloads(client: httpx.Client) -> None:
    loaded = generate(client, prompt="").json()
    assert (loaded["response"], loaded["done"], loaded["done_reason"]) == ("", True, "load")
    names = [model["name"] for model in client.get("/api/ps").json()["models"]]
    assert "ember:latest" in names
    unloaded = chat(client, messages=[], keep_alive=0).json()
    assert (unloaded["message"], unloaded["done_reason"]) == ({"role": "assistant", "content": ""}, "unload")
    names = [model["name"] for model in client.get("/api/ps").json()["models"]]
    assert "ember:latest" not in names


@pytest.mark.parametrize(
    ("keep_alive", "ahead"), [(-1, "2318"), ("-1m", "2318"), ("1h30m", "20"), (60, "20")]
)
def test_keep_alive_is_seen_in_ps(client: httpx.Client, keep_alive: object, ahead: str) -> None:
    generate(client, prompt="", keep_alive=keep_alive)
    model = next(one for one in client.get("/api/ps").json()["models"] if one["name"] == "ember:latest")
    assert model["expires_at"].startswith(ahead)
    assert model["size"] > 0 and model["context_length"] == 2048


def test_raw_reads_the_prompt_as_it_stands(client: httpx.Client) -> None:
    whole = generate(client, raw=True, stream=False, prompt="The sky").json()
    assert whole["prompt_eval_count"] == 2
    assert "context" not in whole
    refused = generate(client, raw=True, system="x")
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("raw mode does not support template, system, or context")


def test_calls_come_whole(client: httpx.Client) -> None:
    call = {"options": {"temperature": 0, "num_predict": 80}, "tools": [TOOL]}
    pieces = lines(chat(client, messages=[{"role": "user", "content": "What is 3 + 4? Use look."}], **call))
    calls = [made for piece in pieces for made in piece["message"].get("tool_calls", ())]
    whole = chat(
        client, stream=False, messages=[{"role": "user", "content": "What is 3 + 4? Use look."}], **call
    ).json()
    shown = [{**one["function"]} for one in whole["message"].get("tool_calls", ())]
    assert [one["function"] for one in calls] == shown
    for one in calls:
        assert isinstance(one["function"]["arguments"], dict) and one["id"].startswith("call_")
    assert pieces[-1]["done_reason"] in ("stop", "length")


def test_a_form_holds(client: httpx.Client) -> None:
    answer = chat(client, format=LOOK, stream=False, options={"num_predict": 60, "temperature": 0}).json()
    assert isinstance(json.loads(answer["message"]["content"])["place"], int)


def test_thinking_is_kept_apart(client: httpx.Client) -> None:
    ask = {"model": THINKER, "think": True, "options": {"num_predict": 50}}
    pieces = [piece["message"] for piece in lines(chat(client, **ask))]
    whole = chat(client, stream=False, **ask).json()["message"]
    assert "".join(piece.get("thinking", "") for piece in pieces) == whole["thinking"] == "so it is"
    assert "".join(piece["content"] for piece in pieces) == whole["content"] == "yes indeed"
    assert not any(piece.get("thinking") and piece["content"] for piece in pieces)
    refused = chat(client, model="scripted:text=x", think=True)
    assert refused.status_code == 400
    assert refused.json()["error"].startswith('"scripted:text=x" does not support thinking')
    assert chat(client, model="scripted:text=x", think=False, stream=False).status_code == 200
    assert chat(client, think="very").status_code == 400


def test_log_probabilities_have_the_bytes_of_their_tokens(client: httpx.Client) -> None:
    answer = generate(client, logprobs=True, top_logprobs=2, stream=False).json()
    assert "".join(entry["token"] for entry in answer["logprobs"]) == answer["response"]
    for entry in answer["logprobs"]:
        assert bytes(entry["bytes"]).decode() == entry["token"] and len(entry["top_logprobs"]) == 2


def test_truncation_is_told_or_refused(client: httpx.Client) -> None:
    long = [{"role": "user", "content": "word " * 900}, {"role": "assistant", "content": "x"}] * 3 + HELLO
    told = chat(client, messages=long, stream=False)
    assert told.json()["truncated"] is True and told.headers["x-hearth-truncated"] == "true"
    assert lines(chat(client, messages=long))[-1]["truncated"] is True
    refused = chat(client, messages=long, truncate=False)
    assert refused.status_code == 400 and "context length" in refused.json()["error"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_ctx": "big"}, 'option "num_ctx" must be of type integer'),
        ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
        ({"stop": 7}, 'option "stop" must be of type array'),
        ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
    ],
)
def test_options_of_the_wrong_type_are_named(
    client: httpx.Client, options: dict[str, Any], words: str
) -> None:
    response = chat(client, options=options)
    assert response.status_code == 400 and response.json()["error"].startswith(words)


def test_old_and_unknown_options_are_let_pass(client: httpx.Client) -> None:
    options = {
        **FAST,
        "numa": False,
        "mirostat": 0,
        "low_vram": True,
        "nonsense": 1,
        "repetition_penalty": 1.1,
    }
    assert chat(client, options=options, stream=False).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/chat", {}, 400, "model is required"),
        ("/api/chat", {"model": "nobody", "messages": HELLO}, 404, "model 'nobody' not found"),
        ("/api/show", {"model": "nobody"}, 404, "model 'nobody' not found"),
        ("/api/embed", {"model": "ember", "input": 5}, 400, "invalid input type"),
        ("/api/generate", {"model": "ember", "prompt": "x", "keep_alive": "soon"}, 400, "`keep_alive`"),
        (
            "/api/generate",
            {"model": "ember", "prompt": "x", "images": ["%%%"]},
            400,
            "The image in `images[0]`",
        ),
        ("/api/generate", {"model": "ember", "prompt": "x", "template": "{{ .Prompt }}"}, 400, "`template`"),
        ("/api/pull", {}, 400, "model is required"),
        ("/api/pull", {"model": "../../x"}, 400, ""),
        ("/api/push", {"model": "ember"}, 501, "Hearth publishes no models"),
        ("/api/copy", {"source": "nobody", "destination": "x"}, 404, 'model "nobody" not found'),
    ],
)
def test_errors_are_one_line_of_text(
    client: httpx.Client, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    response = client.post(path, json=body)
    assert response.status_code == status
    assert response.json()["error"].startswith(words)


def test_the_body_counts_whatever_its_type_says(client: httpx.Client) -> None:
    raw = json.dumps({**ASK, "stream": False})
    for kind in ("application/x-www-form-urlencoded", "text/plain", ""):
        assert client.post("/api/chat", content=raw, headers={"content-type": kind}).status_code == 200
    empty = client.post("/api/chat", content=b"")
    assert empty.status_code == 400 and empty.json()["error"] == "missing request body"


def test_vectors_come_normalised_and_as_they_are(client: httpx.Client) -> None:
    found = client.post("/api/embed", json={"model": "ember", "input": ["a", "b"], "dimensions": 4}).json()
    assert [len(vector) for vector in found["embeddings"]] == [4, 4]
    assert sum(value * value for value in found["embeddings"][0]) == pytest.approx(1, abs=1e-4)
    assert found["prompt_eval_count"] == 2
    raw = client.post("/api/embeddings", json={"model": "ember", "prompt": "a"}).json()["embedding"]
    assert sum(value * value for value in raw) != pytest.approx(1, abs=1e-2)
    assert client.post("/api/embed", json={"model": "ember", "input": []}).json()["embeddings"] == []
    assert client.post("/api/embeddings", json={"model": "ember", "prompt": ""}).json() == {"embedding": []}


def test_lists_and_details_have_what_clients_read(client: httpx.Client) -> None:
    tags = {model["name"]: model for model in client.get("/api/tags").json()["models"]}
    assert re.fullmatch(r"[0-9a-f]{64}", tags["ember:latest"]["digest"])
    assert tags["ember:latest"]["details"]["quantization_level"] == "Q8_0"
    assert tags["ember:pirate"]["details"]["parent_model"] == "ember"
    shown = client.post("/api/show", json={"model": "ember:latest"}).json()
    for name in (
        "license",
        "modelfile",
        "parameters",
        "template",
        "model_info",
        "modified_at",
        "capabilities",
    ):
        assert name in shown
    assert shown["model_info"]["llama.context_length"] == 2048
    assert {"completion", "tools", "thinking"} <= set(shown["capabilities"])


def test_blobs_are_refused_by_digest(client: httpx.Client) -> None:
    assert client.head(f"/api/blobs/sha256:{'0' * 64}").status_code == 404
    assert client.head("/api/blobs/sha256:..%2f..%2fetc%2fpasswd").status_code in (400, 404)
    assert client.post("/api/blobs/sha256:12", content=b"x").status_code == 400


def test_what_a_model_cannot_do_is_said_in_ollamas_words(client: httpx.Client) -> None:
    dot = base64.b64encode(PNG).decode()
    for changes, word in (({"suffix": "b"}, "insert"), ({"images": [dot]}, "vision")):
        refused = generate(client, **changes)
        assert refused.status_code == 400
        assert refused.json()["error"].startswith(f'"ember" does not support {word}'), refused.text


def test_the_prompt_can_be_seen_instead_of_read(client: httpx.Client) -> None:
    shown = chat(client, _debug_render_only=True).json()["_debug_info"]["rendered_template"]
    assert "Hello" in shown and "assistant" in shown


def test_progress_is_told_to_those_who_ask(client: httpx.Client) -> None:
    model = "scripted:load_ms=300,text=done"
    client.post("/api/generate", json={"model": model, "keep_alive": 0})
    pieces = lines(chat(client, model=model, options={"progress": True}))
    told = [piece["progress"] for piece in pieces if "progress" in piece]
    assert {"loading", "prefill"} <= {one["kind"] for one in told}
    fractions = [one["fraction"] for one in told if "fraction" in one]
    assert fractions == sorted(fractions) and fractions
    assert "".join(piece["message"]["content"] for piece in pieces) == "done"
    assert chat(client, model="nobody", options={"progress": True}).status_code == 404


def test_lm_studios_list_has_the_loaded_window(client: httpx.Client) -> None:
    generate(client, prompt="")
    rows = {row["id"]: row for row in client.get("/api/v0/models").json()["data"]}
    assert rows["ember"]["state"] == "loaded" and rows["ember"]["loaded_context_length"] == 2048
    assert client.get("/api/v0/models/ember").json()["max_context_length"] == 2048
    assert client.get("/api/v0/models/nobody").status_code == 404
