"""OpenAI's library on a local model: chat, a stream, a tool, a form, vectors, and a response that is gone on from."""

from __future__ import annotations

import json
import os

from openai import OpenAI

URL = os.environ.get("HEARTH_URL", "http://127.0.0.1:11434")
MODEL = os.environ.get("HEARTH_MODEL", "ember")
client = OpenAI(base_url=f"{URL}/v1", api_key=os.environ.get("HEARTH_KEY", "none"))

answer = client.chat.completions.create(
    model=MODEL,
    messages=[{"role": "user", "content": "What is the capital of France?"}],
    max_tokens=30,
    # What Hearth knows beside OpenAI's fields: a window, how long the model stays.
    extra_body={"options": {"num_ctx": 1024}, "keep_alive": "10m"},
)
print("chat:", answer.choices[0].message.content)

print("stream: ", end="")
with client.chat.completions.stream(
    model=MODEL, messages=[{"role": "user", "content": "Hello"}], max_tokens=20
) as stream:
    for event in stream:
        if event.type == "content.delta":
            print(event.delta, end="", flush=True)
print()

tool = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
called = client.chat.completions.create(
    model=MODEL,
    messages=[{"role": "user", "content": "How is the weather in Paris?"}],
    tools=[tool],
    tool_choice="required",
    max_tokens=120,
)
(call, *_) = called.choices[0].message.tool_calls or [None]
print("tool:", call and (call.function.name, json.loads(call.function.arguments)))

form = {
    "type": "json_schema",
    "json_schema": {
        "name": "place",
        "schema": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
held = client.chat.completions.create(
    model=MODEL,
    messages=[{"role": "user", "content": "Where is the Eiffel Tower?"}],
    response_format=form,
    max_tokens=40,
)
print("form:", json.loads(held.choices[0].message.content or ""))

vectors = client.embeddings.create(model=MODEL, input=["a sentence", "another one"])
print("vectors:", len(vectors.data), "of", len(vectors.data[0].embedding), "numbers")

first = client.responses.create(model=MODEL, input="My name is Ann.", max_output_tokens=20)
second = client.responses.create(
    model=MODEL, input="What is my name?", previous_response_id=first.id, max_output_tokens=20
)
print("response:", second.output_text)
