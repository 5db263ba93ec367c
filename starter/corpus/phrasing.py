"""Many wordings of one question: frames around noun phrases, politeness, casing and punctuation."""

from __future__ import annotations

import random

from .conversation import Fact

FRAMES = (
    "what is {}?", "what's {}?", "tell me {}.", "tell me {}", "do you know {}?", "name {}.", "{}?", "{}",
    "can you tell me {}?", "can you tell me what {} is?", "could you tell me {}?", "i want to know {}.",
    "i would like to know {}.", "give me {}.", "say {}.", "do you know what {} is?", "i need {}.",
    "which one is {}?", "quick question: what is {}?", "what would be {}?", "{} is what?", "{} is", "{}:",
    "question: what is {}?", "i am looking for {}.", "help me with {}.", "my question is: what is {}?",
    "what do you call {}?", "can you name {}?", "remind me, what is {}?", "i forgot {}. what is it?",
    "who can tell me {}?", "let me know {}.", "any idea what {} is?", "i wonder what {} is.", "and {}?",
)  # fmt: skip

OPENERS = (
    "please ", "hey, ", "hi! ", "hello! ", "ok, ", "so, ", "ember, ", "hi ember, ", "well, ", "excuse me, ",
    "one question: ", "now ", "hello, ", "hey ember, ", "um, ", "quick one: ", "good morning! ", "tell me, ",
)  # fmt: skip

CLOSERS = (
    " please",
    ", please",
    " thanks",
    " thank you",
    ", ember",
    ", my friend",
    " in your words",
    " for me",
)


def decorate(text: str, rng: random.Random) -> str:
    """The same question as another person would type it: with or without manners, capitals, punctuation."""
    if rng.random() < 0.25:
        text = rng.choice(OPENERS) + text
    end = text[-1] if text[-1] in "?.:!" else ""
    body = text[: len(text) - len(end)]
    if rng.random() < 0.12:
        body += rng.choice(CLOSERS)
    style = rng.random()
    if style < 0.28:
        end = ""
    elif style < 0.32:
        end *= 2
    elif not end and style < 0.6:
        end = "?"
    body += end
    casing = rng.random()
    if casing < 0.25:
        return body.lower()
    if casing < 0.27:
        return body.upper()
    return body[0].upper() + body[1:]


def ask(fact: Fact, rng: random.Random) -> str:
    """One wording of the question that ``fact`` answers."""
    if fact.questions and (not fact.phrases or rng.random() < 0.6):
        return decorate(rng.choice(fact.questions), rng)
    return decorate(rng.choice(FRAMES).format(rng.choice(fact.phrases)), rng)
