"""An agent of LangChain on a local model: it calls tools until it can answer. A model of some size does this well."""

from __future__ import annotations

import os

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

URL = os.environ.get("HEARTH_URL", "http://127.0.0.1:11434")
MODEL = os.environ.get("HEARTH_MODEL", "ember")


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"In {city} it is sunny, 21 °C."


@tool
def add(a: float, b: float) -> float:
    """The sum of two numbers."""
    return a + b


model = ChatOpenAI(
    base_url=f"{URL}/v1",
    api_key=os.environ.get("HEARTH_KEY", "none"),
    model=MODEL,
    temperature=0,
    max_tokens=200,
)
agent = create_agent(model, tools=[weather, add], system_prompt="Use the tools, then answer in one sentence.")
found = agent.invoke(
    {"messages": [{"role": "user", "content": "How is the weather in Paris?"}]}, {"recursion_limit": 8}
)
for message in found["messages"]:
    print(f"{message.type}: {message.content or getattr(message, 'tool_calls', '')}")
