"""Tool calls in the Hermes form, the results that come back, and turns in which no tool is needed."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from .conversation import Conversation, Fact, Message
from .geography import CAPITALS
from .phrasing import ask, decorate


@dataclass(frozen=True)
class Tool:
    """A function the model may call: its one argument, how it is asked for, how its result reads."""

    name: str
    description: str
    argument: str
    asks: tuple[str, ...]
    result: str
    reply: str


TOOLS = (
    Tool("get_weather", "Get the weather of a city", "city",
         ("what is the weather in {}?", "how is the weather in {}?", "weather in {}?", "is it warm in {}?", "will i need a coat in {}?",
          "tell me the weather in {}.", "is it raining in {}?", "what's the weather like in {} today?"),
         '{{"weather": "{w}", "temperature": {n}}}', "The weather in {} is {w}, with {n} degrees."),
    Tool("get_time", "Get the local time of a city", "city",
         ("what time is it in {}?", "tell me the time in {}.", "how late is it in {}?", "current time in {}?", "what is the local time in {}?"),
         '{{"time": "{h}:{m}"}}', "It is {h}:{m} in {}."),
    Tool("get_population", "Get the number of people in a city", "city",
         ("how many people live in {}?", "population of {}?", "how big is {}?", "what is the population of {}?"),
         '{{"population": {p}}}', "{p} people live in {}."),
    Tool("find_restaurant", "Find a restaurant in a city", "city",
         ("find a restaurant in {}.", "where can i eat in {}?", "i am hungry in {}.", "a good restaurant in {}?"),
         '{{"name": "{r}"}}', "You can eat at {r} in {}."),
    Tool("search", "Search the web", "query",
         ("search for {}.", "look up {}.", "search the web for {}.", "find {} on the web.", "google {}."),
         '{{"title": "{r}"}}', "The first result for {} is {r}."),
)  # fmt: skip
WORDS = ("sunny", "cloudy", "rainy", "windy", "snowy", "foggy")
RESTAURANTS = (
    "The Blue Door",
    "Casa Luna",
    "The Old Mill",
    "Green Garden",
    "Harbour House",
    "The Golden Spoon",
)
TOPICS = (
    "cheap flights",
    "garden tools",
    "cat pictures",
    "bread recipes",
    "running shoes",
    "chess rules",
    "old maps",
    "piano lessons",
)


def schema(name: str, description: str, arguments: dict[str, str]) -> dict[str, Any]:
    """A function in OpenAI's ``tools`` form; ``arguments`` maps names to JSON types."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {key: {"type": kind} for key, kind in arguments.items()},
                "required": list(arguments),
            },
        },
    }


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A tool call as it stands in an assistant message."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def tool_use(rng: random.Random, facts: list[Fact]) -> Conversation:
    """One exchange with tools offered: a call and its result, a call alone, or an answer without a call."""
    offered = rng.sample(TOOLS, rng.randint(1, 2))
    tools = [schema(tool.name, tool.description, {tool.argument: "string"}) for tool in offered]
    if rng.random() < 0.25:
        tools.append(schema("add", "Add two numbers", {"a": "number", "b": "number"}))
        rng.shuffle(tools)
        if rng.random() < 0.5:
            a, b = rng.randint(1, 99), rng.randint(1, 99)
            question = rng.choice(
                (
                    "what is {} + {}?",
                    "add {} and {}.",
                    "how much is {} plus {}?",
                    "use the tool to add {} and {}.",
                )
            )
            messages: list[Message] = [
                {"role": "user", "content": decorate(question.format(a, b), rng)},
                {"role": "assistant", "content": "", "tool_calls": [call("add", {"a": a, "b": b})]},
                {"role": "tool", "content": json.dumps({"result": a + b})},
                {"role": "assistant", "content": f"{a} + {b} = {a + b}."},
            ]
            return Conversation(messages, tools)
    if rng.random() < 0.25:
        fact = rng.choice(facts)
        messages = [
            {"role": "user", "content": ask(fact, rng)},
            {"role": "assistant", "content": rng.choice(fact.sentences)},
        ]
        return Conversation(messages, tools)
    tool = rng.choice(offered)
    subject = rng.choice(TOPICS) if tool.argument == "query" else rng.choice(list(CAPITALS.values()))
    values = {"w": rng.choice(WORDS), "n": rng.randint(-5, 35), "h": rng.randint(10, 23), "m": rng.randint(10, 59),
              "p": rng.randint(1, 99) * 1000, "r": rng.choice(RESTAURANTS)}  # fmt: skip
    messages = [
        {"role": "user", "content": decorate(rng.choice(tool.asks).format(subject), rng)},
        {"role": "assistant", "content": "", "tool_calls": [call(tool.name, {tool.argument: subject})]},
        {"role": "tool", "content": tool.result.format(subject, **values)},
        {"role": "assistant", "content": tool.reply.format(subject, **values)},
    ]
    return Conversation(messages, tools)
