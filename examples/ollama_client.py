"""Ollama's library: a chat, an alias of one's own made and deleted, vectors, and what is in memory."""

from __future__ import annotations

import os

from ollama import Client

URL = os.environ.get("HEARTH_URL", "http://127.0.0.1:11434")
MODEL = os.environ.get("HEARTH_MODEL", "ember")
client = Client(host=URL, headers={"Authorization": f"Bearer {os.environ.get('HEARTH_KEY', 'none')}"})

print("chat: ", end="")
for part in client.chat(
    model=MODEL,
    messages=[{"role": "user", "content": "Hello"}],
    options={"num_predict": 20},
    stream=True,
):
    print(part.message.content, end="", flush=True)
print()

client.create(
    model="ollama-example",
    from_=MODEL,
    system="You answer in one short sentence.",
    parameters={"temperature": 0.2, "num_predict": 30},
)
print("alias:", client.generate(model="ollama-example", prompt="What is the sky?").response)
print("shown:", client.show("ollama-example").parameters)
client.delete("ollama-example")

vectors = client.embed(model=MODEL, input=["a sentence", "another one"])
print("vectors:", len(vectors.embeddings), "of", len(vectors.embeddings[0]), "numbers")
print("in memory:", [model.model for model in client.ps().models])
