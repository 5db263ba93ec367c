"""Prompts of a wanted length, each beginning in its own way; the same for the same seed and number."""

from __future__ import annotations

import random

from engine.types import ImagePart, Message, TextPart

_WORDS = (
    "time people way day man thing woman life child world school state family student group country problem hand part "
    "place case week company system program question work night point home water room mother area money story fact "
    "month lot right study book eye job word business issue side kind head house service friend father power hour game "
    "line end member law car city name team minute idea body back parent face others level office door health person "
    "art war history party result change morning reason research girl guy moment air teacher force order"
).split()


def words(seed: int, number: int, count: int) -> str:
    """`count` words."""
    rng = random.Random(f"bench {seed} {number}")
    return " ".join(rng.choice(_WORDS) for _ in range(max(1, count)))


def message(
    seed: int, number: int, count: int, *, prompt: str | None = None, image: bytes | None = None
) -> Message:
    """What the user says: `prompt` as it is but for a number before it, or `count` words."""
    text = words(seed, number, count) if prompt is None else f"({seed}.{number}) {prompt}"
    if image is None:
        return Message(role="user", content=text)
    return Message(role="user", content=(ImagePart(data=image), TextPart(text)))
