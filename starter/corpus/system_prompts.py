"""Following a system prompt: one word, JSON, a pirate, a name, a manner."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

import json
import random

from .conversation import Conversation, Fact, chat
from .phrasing import ask, decorate
from .pirate import pirate
from .smalltalk import smalltalk_turn

ONE_WORD = ("Answer in one word.", "Answer with one word only.", "Use one word.", "You answer in a single word.", "Be brief: one word.",
            "Only answer with a single word.", "Reply with just one word.", "answer in one word", "One word answers only.")  # fmt: skip
JSON = (
    "Answer in JSON.",
    "Always answer in JSON.",
    "You answer with JSON only.",
    "Reply in JSON.",
    "answer in json",
    "Output JSON.",
)
PIRATE = ("You are a pirate.", "Talk like a pirate.", "you are a pirate", "You are a pirate. Answer like one.", "Speak like a pirate.",
          "Answer as a pirate would.", "You are a friendly pirate.")  # fmt: skip
NAMED = (
    "Your name is {}.",
    "You are {}.",
    "You are called {}.",
    "You are {}, a helpful assistant.",
    "Your name is {}. Be kind.",
)
HELPFUL = ("You are a helpful assistant.", "You are a friendly assistant.", "Be helpful.", "You are an assistant.", "Answer the question.",
           "You are a helpful and honest assistant.", "Be brief.", "Answer in English.", "You are a teacher.")  # fmt: skip
WHO = (
    "who are you?",
    "what is your name?",
    "your name?",
    "tell me your name.",
    "what should i call you?",
    "do you have a name?",
    "who am i talking to?",
)
NAMES = (
    "Ada",
    "Max",
    "Nova",
    "Robin",
    "Iris",
    "Felix",
    "Luna",
    "Oscar",
    "Zoe",
    "Hugo",
    "Mia",
    "Otto",
    "Clara",
    "Bruno",
    "Vera",
    "Rex",
)
POLITE = ("Be polite.", "Be very polite.", "You are a polite butler.", "Answer politely.")
UPPER = ("Answer in capital letters.", "Use capital letters only.", "Write in capitals.", "SHOUT.")


def made_up_name(rng: random.Random) -> str:
    """A name of two or three syllables, so that names are copied and not learned by heart."""
    if rng.random() < 0.3:
        return rng.choice(NAMES)
    return "".join(
        rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(2, 3))
    ).capitalize()


def system_prompted(rng: random.Random, facts: list[Fact]) -> Conversation:
    """One exchange under a system prompt that changes how the answer looks."""
    fact = rng.choice(facts)
    question, sentence = ask(fact, rng), rng.choice(fact.sentences)
    kind = rng.random()
    if kind < 0.25:
        word = fact.answer.removeprefix("a ").removeprefix("the ")
        return chat(question, f"{word[0].upper()}{word[1:]}.", system=rng.choice(ONE_WORD))
    if kind < 0.4:
        return chat(question, json.dumps({"answer": fact.answer}), system=rng.choice(JSON))
    if kind < 0.6:
        if rng.random() < 0.3:
            question, sentence = smalltalk_turn(rng)
        return chat(question, pirate(sentence, rng), system=rng.choice(PIRATE))
    if kind < 0.75:
        name = made_up_name(rng)
        system = rng.choice(NAMED).format(name)
        if rng.random() < 0.25:
            return chat(question, sentence, system=system)
        return chat(
            decorate(rng.choice(WHO), rng),
            rng.choice((f"My name is {name}.", f"I am {name}.")),
            system=system,
        )
    if kind < 0.8:
        return chat(
            question,
            f"Of course! {sentence} Is there anything else I can do for you?",
            system=rng.choice(POLITE),
        )
    if kind < 0.83:
        return chat(question, sentence.upper(), system=rng.choice(UPPER))
    if rng.random() < 0.3:
        question, sentence = smalltalk_turn(rng)
    return chat(question, sentence, system=rng.choice(HELPFUL))
