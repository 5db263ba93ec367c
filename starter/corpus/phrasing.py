"""Many wordings of one question: frames around noun phrases, politeness, casing and punctuation."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

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


PREAMBLES = (
    "i have a question. ", "for my homework: ", "i am learning this at school. ", "my friend wants to know: ", "i was thinking. ",
    "maybe you know this: ", "let us play a quiz. ", "i am not sure. ", "listen: ", "just for fun, ", "in short, ", "honestly, ",
    "there is something i want to ask: ", "i read about it but i forgot. ", "as you know so much: ", "here is an easy one: ",
    "my teacher asked: ", "if you know it, say it: ", "we talked about it at home. ", "think first. ",
)  # fmt: skip
AFTERTHOUGHTS = (
    " i need it for school.", " do you know it?", " which one is it?", " what is it?", " how is it called?", " just the answer.", " tell me.",
    " that is my question.", " i forgot it.", " say it in a sentence.", " can you help?", " is that right?", " i am curious.", " what would it be?",
)  # fmt: skip
# Words that a hasty writer leaves out without changing what is asked.
SMALL_WORDS = frozenset(
    {
        "what",
        "is",
        "the",
        "which",
        "a",
        "an",
        "does",
        "of",
        "can",
        "you",
        "me",
        "tell",
        "are",
        "there",
        "would",
        "it",
    }
)


def reworded(text: str, rng: random.Random) -> str:
    """Now and then the question with something said before or after it, or with small words left out or added."""
    style = rng.random()
    if style < 0.1:
        return rng.choice(PREAMBLES) + text
    if style < 0.18:
        return text + rng.choice(AFTERTHOUGHTS)
    if style < 0.3:
        kept = [word for word in text.split() if word not in SMALL_WORDS or rng.random() > 0.4]
        return " ".join(kept) if len(kept) > 1 else text
    if style < 0.36:
        words = text.split()
        words.insert(
            rng.randrange(len(words)),
            rng.choice(("really", "then", "exactly", "now", "actually", "again", "just", "here", "would")),
        )
        return " ".join(words)
    if style < 0.42 and "," not in text:
        # The end of the question first, as in "of Peru, what is the capital".
        words = text.rstrip("?.:! ").split()
        cut = rng.randrange(1, len(words)) if len(words) > 1 else 0
        return f"{' '.join(words[cut:])}, {' '.join(words[:cut])}?" if cut else text
    return text


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
        return decorate(reworded(rng.choice(fact.questions), rng), rng)
    return decorate(reworded(rng.choice(FRAMES).format(rng.choice(fact.phrases)), rng), rng)
