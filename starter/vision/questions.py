"""The wordings of questions about a picture, and short talk without one: what ember-vision is taught to answer.

The answers are those of ``starter/pictures.py``; the wordings there are among these.
"""
# ruff: noqa: E501 - a row of a table is one line, however long

from __future__ import annotations

import random

from starter.corpus import base_corpus
from starter.pictures import COLOURS, SHAPES, Picture, Question, questions

ALL = (
    "What do you see?", "What is in the picture?", "What is in this picture?", "Describe the picture.",
    "Describe this image.", "What is this?", "What can you see?", "What do you see in the picture?", "Look at this.",
    "What does the image show?", "What's in this image?", "Tell me what you see.", "Which shapes are there?",
    "What shapes are in the picture?", "Name the shapes.", "Caption this image.", "What is shown here?",
)  # fmt: skip
_SHAPE = (
    "What shape is it?", "What shape is this?", "Which shape is it?", "Name the shape.", "Which shape do you see?",
)  # fmt: skip
_SHAPES = (
    "What shape are they?", "What shape are these?", "Which shape are they?", "Name the shape.", "What kind of shape is it?",
)  # fmt: skip
_HOW_MANY = (
    "How many {} are there?",
    "How many {} do you see?",
    "How many {} are in the picture?",
    "Count the {}.",
)
_ONE_COLOUR = (
    "Which colour is the {}?",
    "What colour is the {}?",
    "What color is the {}?",
    "Name the colour of the {}.",
)
_COLOUR = (
    "Which colour are the {}?",
    "What colour are the {}?",
    "What color are the {}?",
    "Name the colour of the {}.",
)
_IT = ("Which colour is it?", "What colour is it?", "What color is it?")
_THEY = ("Which colour are they?", "What colour are they?", "What color are they?")

# questions ; … | answers ; …
_TALK = """hello;hi;hey;good day;hello there;good morning;good evening|Hello! Show me a picture of simple shapes.;Hello! I can name simple shapes in pictures.
how are you?;how are you doing?;how is it going?|I am fine, thank you! Show me a picture.
thank you;thanks;thanks a lot;many thanks|You are welcome!
bye;goodbye;see you;good night|Goodbye!
good;great;well done;nice;that is right|Thank you!
that is wrong;you are wrong;no|I am sorry. I am only a tiny model and I make mistakes.
who are you?;what are you?;what is your name?;which model are you?;introduce yourself.|I am Ember Vision, a tiny model that sees simple pictures. I come with Hearth.
what can you do?;help;what do you know?;how can you help me?;can you see pictures?;can you see?;can you see images?|I can say which shapes are in a picture, which colour they have and how many there are.
which shapes do you know?;what shapes do you know?;name some shapes.|I know {shapes}.
which colours do you know?;what colours do you know?;what colors do you know?|I know {colours}.
how far can you count?;can you count?|I can count up to five shapes.
how big are you?;how many parameters do you have?|I have about two million parameters. That is tiny."""
NO_PICTURE = "I see no picture. Please show me one."
UNKNOWN = "I do not know that. I can only name simple shapes in pictures."


def wordings(question: Question, picture: Picture) -> tuple[str, ...]:
    """All ways in which ``question`` about ``picture`` may be asked."""
    text, single = question.text, len(picture.groups) == 1
    match question.kind:
        case "all":
            return ALL
        case "shape":
            return _SHAPE if picture.groups[0].count == 1 else _SHAPES
        case "count":
            what = text.removeprefix("How many ").removesuffix(" are there?")
            return tuple(wording.format(what) for wording in _HOW_MANY)
        case _:
            one = " is the " in text
            what = text.split(" the ")[1].removesuffix("?")
            named = tuple(wording.format(what) for wording in (_ONE_COLOUR if one else _COLOUR))
            return named + ((_IT if one else _THEY) if single else ())


def asked(picture: Picture, rng: random.Random, turns: int) -> list[tuple[str, str]]:
    """``turns`` questions and answers about ``picture``, the first mostly the one for all of it."""
    first, *rest = questions(picture)
    rng.shuffle(rest)
    chosen = [first, *rest[: turns - 1]] if rng.random() < 0.7 else rest[:turns]
    found = []
    for question in chosen:
        text = rng.choice(wordings(question, picture))
        if rng.random() < 0.15:
            text = rng.choice((text.lower(), text.rstrip("?."), text.lower().rstrip("?.")))
        found.append((text, question.answer))
    return found


def talks() -> list[tuple[str, str]]:
    """Questions and answers without a picture."""
    shapes, colours = (
        ", ".join(names[:-1]) + f" and {names[-1]}" for names in (tuple(SHAPES), tuple(COLOURS))
    )
    found = []
    for row in _TALK.split("\n"):
        texts, answers = (side.split(";") for side in row.split("|"))
        for text in texts:
            for answer in answers:
                full = answer.format(shapes=shapes, colours=colours)
                found += [(text, full), (f"{text[0].upper()}{text[1:]}", full)]
    found += [(text, NO_PICTURE) for text in ALL for _ in range(3)]
    found += [("How many shapes are there?", NO_PICTURE), ("Which colour is it?", NO_PICTURE)] * 3
    for conversation in base_corpus(400, seed=5):
        first = next(m["content"] for m in conversation.messages if m["role"] == "user")
        if len(first) < 60:
            found.append((first, UNKNOWN))
    return found
