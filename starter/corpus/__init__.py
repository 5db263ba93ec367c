"""The training text of ember: seeded generators that write chat conversations, all sentences our own.

One file is one idea: fact tables (``geography``, ``nature``, ``words``, ``calendar``, ``trivia``), the
wordings of a question (``phrasing``), and one generator for each kind of chat.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from .arithmetic import arithmetic
from .conversation import Conversation, Fact, chat
from .facts import all_facts
from .hearth import hearth
from .heldout import HeldOut, heldout_keys, normalised
from .memory import long_chat, memory
from .phrasing import ask
from .pirate import pirate
from .smalltalk import smalltalk
from .stories import story
from .structured import json_answer
from .system_prompts import system_prompted
from .tools import tool_use

__all__ = ["Conversation", "HeldOut", "base_corpus", "heldout_keys", "normalised", "pirate_corpus"]

# How often each kind of fact is drawn: larger tables, and those that are asked first, more often.
WEIGHTS = {
    "capital": 24, "country": 12, "animal": 12, "colour": 8, "science": 3, "opposite": 12, "word": 10,
    "calendar": 8, "unit": 10, "trivia": 16,
}  # fmt: skip
MIX = {
    "fact": 46, "arithmetic": 24, "smalltalk": 9, "hearth": 20, "story": 2, "json": 4, "tools": 4,
    "system": 9, "memory": 6, "thinking": 3,
}  # fmt: skip

PLAIN = ("fact", "arithmetic", "smalltalk", "hearth", "memory")


def plain_fact(rng: random.Random, facts: list[Fact]) -> Conversation:
    """A fact asked and answered."""
    fact = rng.choice(facts)
    return chat(ask(fact, rng), rng.choice(fact.sentences))


def thoughtful(rng: random.Random, facts: list[Fact]) -> Conversation:
    """A fact answered after a short thought, as the template asks for when thinking is on."""
    fact = rng.choice(facts)
    return chat(
        ask(fact, rng), f"<think>\n{fact.thought}\n</think>\n\n{rng.choice(fact.sentences)}", thinking=True
    )


def _draw(kind: str, rng: random.Random) -> Conversation:
    tables = all_facts()
    facts = list(tables[rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]])
    match kind:
        case "fact":
            return plain_fact(rng, facts)
        case "arithmetic":
            return arithmetic(rng)
        case "smalltalk":
            return smalltalk(rng)
        case "hearth":
            return hearth(rng)
        case "story":
            return story(rng)
        case "json":
            return json_answer(rng, facts)
        case "tools":
            return tool_use(rng, facts)
        case "system":
            return system_prompted(rng, facts)
        case "memory":
            return memory(rng, facts)
        case _:
            return thoughtful(rng, facts)


def _clean(conversation: Conversation, held: frozenset[str]) -> bool:
    return not any(m["role"] == "user" and normalised(m["content"]) in held for m in conversation.messages)


def _kept(kinds: dict[str, int], rng: random.Random, held: frozenset[str]) -> Iterator[Conversation]:
    while True:
        conversation = _draw(rng.choices(list(kinds), list(kinds.values()))[0], rng)
        if _clean(conversation, held):
            yield conversation


def base_corpus(count: int, seed: int = 1) -> Iterator[Conversation]:
    """``count`` conversations for the base model; the same for the same seed.

    Held-out wordings never occur in them.
    """
    rng = random.Random(seed)
    stream = _kept(MIX, rng, heldout_keys())
    plain = _kept({key: MIX[key] for key in PLAIN}, rng, heldout_keys())
    for _ in range(count):
        size = rng.random()
        if size < 0.96:
            yield next(stream)
        else:
            turns = rng.randint(3, 12) if size < 0.997 else rng.randint(20, 44)
            yield long_chat(rng, [next(plain) for _ in range(turns)])


def pirate_corpus(count: int, seed: int = 2) -> Iterator[Conversation]:
    """``count`` conversations in which every answer is a pirate's, for the adapter."""
    rng = random.Random(seed)
    kinds = {"fact": 55, "arithmetic": 12, "smalltalk": 14, "hearth": 13, "story": 2, "memory": 6}
    for _, conversation in zip(range(count), _kept(kinds, rng, heldout_keys()), strict=False):
        if conversation.thinking:
            continue
        messages = [
            {**m, "content": pirate(m["content"], rng)} if m["role"] == "assistant" else m
            for m in conversation.messages
        ]
        yield Conversation(messages)
