"""What came over the wire, taken apart as clients do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

HELLO = [{"role": "user", "content": "Hello"}]
LOOK = {
    "type": "object",
    "properties": {"place": {"type": "integer"}},
    "required": ["place"],
    "additionalProperties": False,
}


def sse(text: str) -> Iterator[tuple[str | None, str]]:
    """The events of a stream: name and data. Comments are passed over."""
    for block in text.split("\n\n"):
        name, data = None, []
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
        if data:
            yield name, "\n".join(data)


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    """OpenAI's chunks; the stream must end with [DONE]."""
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [data for _, data in sse(response.text)]
    assert events[-1] == "[DONE]"
    return [json.loads(data) for data in events[:-1]]


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    """Ollama's lines."""
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """Anthropic's events; each is named as its type says."""
    found = []
    for name, data in sse(response.text):
        found.append(json.loads(data))
        assert found[-1]["type"] == name
    return found
