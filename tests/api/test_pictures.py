"""A picture, sent as each dialect sends one, reaches a model that sees; others refuse it."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import pytest
from PIL import Image

MODEL = "ember-vision"


@pytest.fixture(scope="module")
def picture() -> str:
    """A red square as base64 of a PNG file."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def asks(model: str, picture: str) -> dict[str, dict[str, Any]]:
    """The same question in each dialect."""
    url = f"data:image/png;base64,{picture}"
    text = "What is in the picture?"
    openai = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    source = {"type": "base64", "media_type": "image/png", "data": picture}
    anthropic = [{"type": "image", "source": source}, {"type": "text", "text": text}]
    item = [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": text}]
    options = {"num_predict": 8, "temperature": 0}
    return {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": openai}], "max_tokens": 8},
        "/v1/messages": {"messages": [{"role": "user", "content": anthropic}], "max_tokens": 8},
        "/v1/responses": {"input": [{"role": "user", "content": item}], "max_output_tokens": 8},
        "/api/chat": {
            "messages": [{"role": "user", "content": text, "images": [picture]}], "stream": False, "options": options,
        },
        "/api/generate": {"prompt": text, "images": [picture], "stream": False, "options": options},
    }  # fmt: skip


def test_a_picture_comes_to_the_same_prompt_in_every_dialect(client: httpx.Client, picture: str) -> None:
    if client.get(f"/v1/models/{MODEL}").status_code == 404:
        pytest.skip(f"{MODEL} is not here")
    counted = set()
    for path, body in asks(MODEL, picture).items():
        answer = client.post(path, json={"model": MODEL, "temperature": 0, **body})
        assert answer.status_code == 200, (path, answer.text)
        found = answer.json()
        usage = found.get("usage") or {}
        counted.add(
            usage.get("prompt_tokens")
            or found.get("prompt_eval_count")
            or usage["input_tokens"] + usage.get("cache_read_input_tokens", 0)
        )
        if path == "/v1/chat/completions":
            assert usage["prompt_tokens_details"]["image_tokens"] > 0
    assert len(counted) == 1 and min(counted) > 20
    assert "vision" in client.post("/api/show", json={"model": MODEL}).json()["capabilities"]


def test_a_model_without_eyes_refuses_it(client: httpx.Client, picture: str) -> None:
    for path, body in asks("ember", picture).items():
        answer = client.post(path, json={"model": "ember", **body})
        assert answer.status_code == 400 and "image" in answer.text, (path, answer.text)
