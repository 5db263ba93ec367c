"""LiteLLM by three families' routes: one call shape, one answer; run in an environment that has it: URL as argument."""

from __future__ import annotations

import json
import sys
from typing import Any

import litellm

URL = sys.argv[1]
HELLO = [{"role": "user", "content": "Hello, who are you?"}]
FAMILIES: dict[str, dict[str, Any]] = {
    "openai/ember": {"api_base": f"{URL}/v1", "api_key": "none"},
    "ollama_chat/ember": {"api_base": URL},
    "anthropic/ember": {"api_base": URL, "api_key": "none"},
}
TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Looks.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "integer"}},
            "required": ["place"],
        },
    },
}


def main() -> None:
    litellm.drop_params = True
    texts = {}
    for model, where in FAMILIES.items():
        ask = {"model": model, "messages": HELLO, "max_tokens": 12, "temperature": 0, **where}
        whole = litellm.completion(**ask)
        text = whole.choices[0].message.content
        pieces = list(litellm.completion(**ask, stream=True))
        said = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        assert said == text != "", (model, said, text)
        assert whole.usage.completion_tokens == 12, (model, whole.usage)
        assert whole.usage.total_tokens == whole.usage.prompt_tokens + 12, (model, whole.usage)
        texts[model] = text
    # Anthropic's protocol leaves thinking off; the model's own way is the same for the other two.
    assert texts["openai/ember"] == texts["ollama_chat/ember"], texts
    for model in ("openai/ember", "anthropic/ember"):
        ask = {"model": model, "messages": HELLO, "max_tokens": 80, "temperature": 0, **FAMILIES[model]}
        answer = litellm.completion(**ask, tools=[TOOL], tool_choice="required")
        call = answer.choices[0].message.tool_calls[0]
        assert call.function.name == "look" and isinstance(json.loads(call.function.arguments)["place"], int)
    found = litellm.embedding(model="openai/ember", input=["a", "b"], **FAMILIES["openai/ember"])
    assert len(found.data) == 2
    try:
        litellm.completion(model="openai/nobody", messages=HELLO, **FAMILIES["openai/ember"])
    except litellm.NotFoundError:
        pass
    else:
        raise AssertionError("a model that is not there answered")
    asked = litellm.responses(model="openai/ember", input="Hello", **FAMILIES["openai/ember"])
    assert asked.status in ("completed", "incomplete") and asked.output


if __name__ == "__main__":
    main()
