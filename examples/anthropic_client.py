"""Anthropic's library on a local model: a message, a stream, a tool and its result, and an exact count."""

from __future__ import annotations

import os

from anthropic import Anthropic

URL = os.environ.get("HEARTH_URL", "http://127.0.0.1:11434")
MODEL = os.environ.get("HEARTH_MODEL", "ember")
client = Anthropic(base_url=URL, api_key=os.environ.get("HEARTH_KEY", "none"))
question = {"role": "user", "content": "What is the capital of France?"}

message = client.messages.create(model=MODEL, max_tokens=30, messages=[question])
print("message:", message.content[0].text, message.usage.output_tokens, "tokens")

print("stream: ", end="")
with client.messages.stream(
    model=MODEL, max_tokens=20, messages=[{"role": "user", "content": "Hello"}]
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()

tool = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
asked = {"role": "user", "content": "How is the weather in Paris?"}
called = client.messages.create(
    model=MODEL,
    max_tokens=120,
    messages=[asked],
    tools=[tool],
    tool_choice={"type": "tool", "name": "weather"},
)
use = next(block for block in called.content if block.type == "tool_use")
print("tool:", use.name, use.input)
result = {"type": "tool_result", "tool_use_id": use.id, "content": "Sunny, 21 °C."}
told = client.messages.create(
    model=MODEL,
    max_tokens=30,
    messages=[asked, {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}],
    tools=[tool],
)
print("told:", "".join(block.text for block in told.content if block.type == "text"))

count = client.messages.count_tokens(model=MODEL, messages=[question], tools=[tool])
print("count:", count.input_tokens)
