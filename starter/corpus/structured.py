"""Answers in JSON: a fact under a key that the user names, people as records, and lists."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

import json
import random

from .conversation import Conversation, Fact, chat
from .phrasing import ask, decorate

KEYS = ("answer", "result", "value", "text", "response", "reply", "output")
NAMES = (
    "Anna",
    "Tom",
    "Maria",
    "Paul",
    "Lena",
    "Jack",
    "Sofia",
    "Omar",
    "Yuki",
    "Peter",
    "Clara",
    "Ivan",
    "Nina",
    "David",
)
CITIES = ("Paris", "Rome", "Berlin", "Oslo", "Madrid", "London", "Tokyo", "Vienna", "Lisbon", "Athens")
FACT_ASKS = (
    '{} answer in JSON with the key "{}".', '{} answer as JSON with key {}.', "{} reply in JSON, key: {}.", "{} use JSON with the key {}.",
    "{} give the answer as a JSON object with the key {}.", '{} respond only with JSON: {{"{}": ...}}',
)  # fmt: skip
RECORD_ASKS = (
    "{} is {} years old and lives in {}. give me that as JSON with the keys name, age and city.",
    "write JSON with name, age and city: {}, {}, {}.", "turn this into JSON: name {}, age {}, city {}.",
    "make a JSON object: {} is {} and comes from {}.", "extract name, age and city as JSON: {}, {} years, from {}.",
)  # fmt: skip
LISTS = {
    "fruits": ["apple", "banana", "cherry"], "animals": ["dog", "cat", "horse"], "colours": ["red", "green", "blue"],
    "days": ["Monday", "Tuesday", "Wednesday"], "planets": ["Mercury", "Venus", "Earth"],
    "numbers": [1, 2, 3], "months": ["January", "February", "March"], "cities": ["Paris", "Rome", "Berlin"],
}  # fmt: skip
LIST_ASKS = (
    "give me three {} as JSON.",
    "list three {} in JSON.",
    "three {} as a JSON array",
    "answer in JSON: three {}.",
    "JSON with three {}",
)


def json_answer(rng: random.Random, facts: list[Fact]) -> Conversation:
    """One question whose answer is JSON alone."""
    kind = rng.random()
    if kind < 0.5:
        fact, key = rng.choice(facts), rng.choice(KEYS)
        question = ask(fact, rng).rstrip("?.:! ") + rng.choice(("?", "?", "."))
        return chat(rng.choice(FACT_ASKS).format(question, key), json.dumps({key: fact.answer}))
    if kind < 0.8:
        name, age, city = rng.choice(NAMES), rng.randint(5, 90), rng.choice(CITIES)
        text = json.dumps({"name": name, "age": age, "city": city})
        return chat(decorate(rng.choice(RECORD_ASKS).format(name, age, city), rng), text)
    what = rng.choice(list(LISTS))
    return chat(decorate(rng.choice(LIST_ASKS).format(what), rng), json.dumps({what: LISTS[what]}))
