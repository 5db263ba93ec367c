"""Completions, embeddings and the list of models."""

from __future__ import annotations

import base64
import struct

import httpx
import pytest

from tests.api.wire import chunks


def complete(client: httpx.Client, **body: object) -> httpx.Response:
    return client.post("/v1/completions", json={"model": "ember", "temperature": 0, **body})


def test_several_prompts_and_choices_are_numbered_in_order(client: httpx.Client) -> None:
    answer = complete(client, prompt=["Hello", "The sky"], n=2, max_tokens=3).json()
    texts = [choice["text"] for choice in answer["choices"]]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert texts[0] == texts[1] != texts[2] == texts[3]
    assert answer["usage"]["completion_tokens"] == 12
    parts = chunks(complete(client, prompt=["Hello", "The sky"], n=2, max_tokens=3, stream=True))
    streamed = ["", "", "", ""]
    for part in parts:
        for choice in part["choices"]:
            streamed[choice["index"]] += choice["text"]
    assert streamed == texts


@pytest.mark.parametrize("prompt", ["The sky is blue", "Hello"])
def test_echo_gives_the_probabilities_of_the_prompt(client: httpx.Client, prompt: str) -> None:
    choice = complete(client, prompt=prompt, max_tokens=0, echo=True, logprobs=1).json()["choices"][0]
    logprobs = choice["logprobs"]
    assert choice["text"] == "".join(logprobs["tokens"]) == prompt
    assert logprobs["token_logprobs"][0] is None
    assert all(value < 0 for value in logprobs["token_logprobs"][1:])
    assert logprobs["top_logprobs"][0] is None
    for token, offset in zip(logprobs["tokens"], logprobs["text_offset"], strict=True):
        assert choice["text"][offset:].startswith(token)


def test_echo_goes_on_with_the_answer(client: httpx.Client) -> None:
    whole = complete(client, prompt="The sky", max_tokens=2, echo=True, logprobs=0).json()["choices"][0]
    assert whole["text"] == "".join(whole["logprobs"]["tokens"])
    assert whole["text"].startswith("The sky")
    parts = chunks(complete(client, prompt="The sky", max_tokens=2, echo=True, logprobs=0, stream=True))
    rows = [choice["logprobs"] for part in parts for choice in part["choices"] if choice["logprobs"]]
    for name in ("tokens", "token_logprobs", "text_offset"):
        assert [value for row in rows for value in row[name]] == whole["logprobs"][name]


def test_tokens_are_a_prompt(client: httpx.Client) -> None:
    tokens = client.post("/tokenize", json={"content": "The sky"}).json()["tokens"]
    by_tokens = complete(client, prompt=tokens, max_tokens=4).json()["choices"][0]["text"]
    assert by_tokens == complete(client, prompt="The sky", max_tokens=4).json()["choices"][0]["text"]


def test_embeddings_are_unit_vectors_in_both_forms(client: httpx.Client) -> None:
    body = {"model": "ember", "input": ["a cat", "a dog"]}
    plain = client.post("/v1/embeddings", json=body).json()
    packed = client.post("/v1/embeddings", json={**body, "encoding_format": "base64"}).json()
    for one, other in zip(plain["data"], packed["data"], strict=True):
        raw = base64.b64decode(other["embedding"])
        assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == pytest.approx(one["embedding"])
        assert sum(value * value for value in one["embedding"]) == pytest.approx(1, abs=1e-4)
    short = client.post("/v1/embeddings", json={**body, "dimensions": 5}).json()
    assert {len(row["embedding"]) for row in short["data"]} == {5}
    assert plain["usage"]["total_tokens"] > 0
    for bad in ([], "", [""], {"a": 1}, [1.5], 7):
        assert client.post("/v1/embeddings", json={"model": "ember", "input": bad}).status_code == 400


def test_models_are_listed_for_both_families(client: httpx.Client) -> None:
    found = client.get("/v1/models").json()
    by_id = {model["id"]: model for model in found["data"]}
    assert by_id["ember"]["object"] == by_id["ember"]["type"] == "model"
    assert by_id["ember:pirate"]["parent"] == "ember"
    assert by_id["ember"]["max_model_len"] == 2048
    assert (found["object"], found["has_more"]) == ("list", False)
    assert client.get("/v1/models/ember:pirate").json()["root"] == "ember"
    assert client.get("/v1/models/no/such").status_code == 404
    first = client.get("/v1/models?limit=1").json()
    assert first["has_more"] and len(first["data"]) == 1
    after = client.get(f"/v1/models?limit=1&after_id={first['last_id']}").json()
    assert after["data"][0]["id"] != first["last_id"]
