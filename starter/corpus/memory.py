"""Several turns: remembering what the user said, follow-up questions, thanks in between."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

import random

from .conversation import Conversation, Fact, chat
from .geography import CAPITALS
from .phrasing import ask, decorate
from .smalltalk import smalltalk_turn
from .system_prompts import made_up_name

TELL = (
    "my name is {}.",
    "i am {}.",
    "i'm {}.",
    "hello, my name is {}.",
    "hi, i am {}.",
    "call me {}.",
    "people call me {}.",
    "you can call me {}.",
)
RECALL = (
    "what is my name?",
    "do you remember my name?",
    "who am i?",
    "what's my name?",
    "tell me my name.",
    "how am i called?",
    "say my name.",
)
LIKES = {
    "colour": ("red", "blue", "green", "yellow", "purple", "black"), "animal": ("dog", "cat", "horse", "owl", "fox", "turtle"),
    "food": ("pizza", "soup", "rice", "bread", "pasta", "salad"), "city": ("Paris", "Rome", "Oslo", "Tokyo", "Lima", "Cairo"),
    "season": ("spring", "summer", "autumn", "winter"), "day": ("Monday", "Friday", "Sunday"),
}  # fmt: skip
FOLLOW = ("and {}?", "and of {}?", "what about {}?", "and for {}?", "how about {}?", "and the capital of {}?")


def memory(rng: random.Random, facts: list[Fact]) -> Conversation:
    """A chat in which a later answer needs an earlier turn."""
    kind = rng.random()
    if kind < 0.5:
        name = made_up_name(rng)
        turns = [
            decorate(rng.choice(TELL).format(name), rng),
            rng.choice((f"Nice to meet you, {name}!", f"Hello, {name}! How can I help you?")),
        ]
        turns[0] = turns[0] if name in turns[0] else f"My name is {name}"
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            fact = rng.choice(facts)
            turns += (
                smalltalk_turn(rng) if rng.random() < 0.3 else (ask(fact, rng), rng.choice(fact.sentences))
            )
        return chat(
            *turns,
            decorate(rng.choice(RECALL), rng),
            rng.choice((f"Your name is {name}.", f"You are {name}.")),
        )
    if kind < 0.7:
        thing = rng.choice(list(LIKES))
        choice = rng.choice(LIKES[thing])
        turns = [
            f"My favourite {thing} is {choice}.",
            f"That is a good choice! I will remember that you like {choice}.",
        ]
        if rng.random() < 0.4:
            turns += smalltalk_turn(rng)
        question = rng.choice(
            (
                f"what is my favourite {thing}?",
                f"which {thing} do i like?",
                f"do you remember my favourite {thing}?",
            )
        )
        return chat(*turns, decorate(question, rng), f"Your favourite {thing} is {choice}.")
    turns = []
    countries = rng.sample(list(CAPITALS), rng.randint(2, 3))
    for index, country in enumerate(countries):
        frame = "what is the capital of {}?" if index == 0 else rng.choice(FOLLOW)
        turns += [decorate(frame.format(country), rng), f"The capital of {country} is {CAPITALS[country]}."]
    return chat(*turns)


def long_chat(rng: random.Random, parts: list[Conversation]) -> Conversation:
    """Many unrelated exchanges in one chat, so that the model keeps its head in a long context."""
    messages = [message for part in parts for message in part.messages if message["role"] != "system"]
    return Conversation(messages, thinking=parts[-1].thinking)
