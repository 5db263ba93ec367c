"""What llama-server's clients may ask beside the plain forms: pieces, biases, numbered adapters, norms, progress."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.api.wire import HELLO, chunks, sse

LONG_PROMPT = "one two three " * 250
"""Longer than what is read in one step."""


def test_pieces_are_bytes_where_they_are_no_text(client: httpx.Client) -> None:
    plain = client.post("/tokenize", json={"content": "Hé<|im_end|>"}).json()["tokens"]
    pieces = client.post("/tokenize", json={"content": "Hé<|im_end|>", "with_pieces": True}).json()["tokens"]
    assert [each["id"] for each in pieces] == plain
    raw = [
        bytes(each["piece"]) if isinstance(each["piece"], list) else each["piece"].encode() for each in pieces
    ]
    assert b"".join(raw).decode() == "Hé<|im_end|>"
    assert any(isinstance(each["piece"], list) for each in pieces) and pieces[-1]["piece"] == "<|im_end|>"


def test_a_template_is_switched_as_in_a_chat(client: httpx.Client) -> None:
    prompts = [
        client.post(
            "/apply-template",
            json={"messages": HELLO, "chat_template_kwargs": {"enable_thinking": thinks}},
        ).json()["prompt"]
        for thinks in (True, False)
    ]
    assert "<think>" in prompts[0] and "<think>" not in prompts[1]


def test_texts_are_biased_by_their_tokens(client: httpx.Client) -> None:
    ask = {"prompt": "The sky", "n_predict": 1, "temperature": 0}
    first = client.post("/completion", json=ask).json()["content"]
    for bias in ([[first, False]], {first: -100}):
        other = client.post("/completion", json={**ask, "logit_bias": bias}).json()["content"]
        assert other != first
    assert client.post("/completion", json={**ask, "logit_bias": [["a", "b"]]}).status_code == 400


def test_several_results_of_one_prompt(client: httpx.Client) -> None:
    ask = {"prompt": "The sky", "n_predict": 2, "temperature": 0, "n_cmpl": 2}
    whole = client.post("/completion", json=ask).json()
    assert [each["index"] for each in whole] == [0, 1]
    pieces = [
        json.loads(data) for _, data in sse(client.post("/completion", json={**ask, "stream": True}).text)
    ]
    for index in (0, 1):
        mine = [each for each in pieces if each["index"] == index]
        assert "".join(each["content"] for each in mine) == whole[index]["content"]
        assert [each["stop"] for each in mine] == [False] * (len(mine) - 1) + [True]


def test_adapters_go_by_their_number_too(client: httpx.Client) -> None:
    assert client.get("/lora-adapters").json()[0]["path"] == "pirate"
    ask = {"prompt": "Hello", "n_predict": 1, "lora": [{"id": 0, "scale": 0.5}]}
    found = client.post("/completion", json=ask).json()["generation_settings"]["lora"]
    assert found == [{"name": "pirate", "scale": 0.5}]
    for path, body in (("/completion", ask), ("/v1/chat/completions", {"messages": HELLO, "max_tokens": 1})):
        wrong = client.post(path, json={**body, "lora": [{"id": 99, "scale": 1}]})
        assert wrong.status_code == 400 and "no adapter 99" in wrong.text


@pytest.mark.parametrize("norm", [-1, 0, 1, 2, 3])
def test_vectors_have_the_norm_that_is_asked_for(client: httpx.Client, norm: int) -> None:
    ask = {"content": "a", "embd_normalize": norm}
    vector = client.post("/embedding", json=ask).json()[0]["embedding"][0]
    sizes = [abs(value) for value in vector]
    if norm == 0:
        assert max(sizes) == pytest.approx(32760)
    elif norm > 0:
        assert sum(size**norm for size in sizes) == pytest.approx(1, rel=1e-4)
    else:
        assert max(sizes) > 1


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/completion"])
def test_progress_and_timings_are_told_to_those_who_ask(client: httpx.Client, path: str) -> None:
    asks: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": LONG_PROMPT}], "max_tokens": 3},
        "/completion": {"prompt": LONG_PROMPT, "n_predict": 3},
    }
    tells = {"stream": True, "return_progress": True, "timings_per_token": True, "cache_prompt": False}
    answer = client.post(path, json=asks[path] | tells)
    found = [json.loads(data) for _, data in sse(answer.text) if data != "[DONE]"]
    told = [each["prompt_progress"] for each in found if "prompt_progress" in each]
    assert told and told[-1]["processed"] == told[-1]["total"] > 500
    assert [each["processed"] for each in told] == sorted(each["processed"] for each in told)
    counts = [each["timings"]["predicted_n"] for each in found if "timings" in each]
    # Pieces that come at once may be one.
    assert counts and counts == sorted(counts) and 1 <= counts[0] <= counts[-1] <= 3
    if path == "/v1/chat/completions":
        silent = chunks(client.post(path, json={**asks[path], "stream": True}))
        assert not [each for each in silent if "timings" in each or "prompt_progress" in each]


def test_slots_are_refused_as_by_a_server_without_a_folder_for_them(client: httpx.Client) -> None:
    for action in ("save", "restore", "erase"):
        refused = client.post(f"/slots/0?action={action}", json={"filename": "a.bin"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (501, "not_supported_error")
        assert refused.headers["x-should-retry"] == "false"
    assert client.post("/slots/0?action=dance", json={}).status_code == 400
    assert client.post("/slots/x?action=save", json={}).status_code == 400


def test_props_and_slots_say_what_editors_read(client: httpx.Client) -> None:
    props = client.get("/props").json()
    assert props["eos_token"] and props["default_generation_settings"]["n_ctx"] > 0
    client.post("/completion", json={"prompt": "Hello", "n_predict": 1})
    assert all(slot["n_ctx"] > 0 for slot in client.get("/slots").json())


def test_a_tokenizer_is_lent_in_vllms_words(client: httpx.Client) -> None:
    """Evaluation harnesses use it, so that they need no tokenizer of their own."""
    info = client.get("/tokenizer_info").json()
    assert info["eos_token"] and info["bos_token"] is None and "message" in info["chat_template"]
    plain = client.post("/tokenize", json={"content": "The sky"}).json()["tokens"]
    lent = client.post("/tokenize", json={"prompt": "The sky", "return_token_strs": True}).json()
    assert lent["tokens"] == plain and lent["count"] == len(plain) and lent["max_model_len"] > 0
    assert "".join(lent["token_strs"]) == "The sky"
    assert client.post("/detokenize", json={"tokens": plain}).json()["prompt"] == "The sky"
    chat = client.post("/tokenize", json={"messages": HELLO}).json()
    counted = client.post("/v1/chat/completions/input_tokens", json={"messages": HELLO}).json()
    assert chat["count"] == counted["input_tokens"]
