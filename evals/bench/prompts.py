"""Prompts of a wanted length. Each begins with a mark of its own, so that no prefix cache answers for it."""

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
    mark: str, seed: int, number: int, count: int, *, prompt: str | None = None, image: bytes | None = None
) -> Message:
    """What the user says: `mark`, then `prompt` as it is, or the `count` words of that seed and number.

    The mark must be another for every load and every bench: servers keep what they have read.
    """
    text = f"({mark}) {words(seed, number, count) if prompt is None else prompt}"
    if image is None:
        return Message(role="user", content=text)
    return Message(role="user", content=(ImagePart(data=image), TextPart(text)))
