"""How likely each answer is: the probabilities of the labels at the place where the model would begin to answer.

The first token's best hundred alternatives come with one request. To a label that is not among them, or is no single
token, the model is held by a grammar, and says how likely it was.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from api.answering.result import collect
from api.dialects.decisions.questions import Question
from engine import Engine
from engine.errors import InternalError
from engine.types import (
    Constraint,
    GenerationRequest,
    ImagePart,
    Logprobs,
    Message,
    Part,
    TextPart,
    Thinking,
    Usage,
)

_TOP: Final = 100
_AT_ONCE: Final = 4


class Weighed(Struct, frozen=True, kw_only=True):
    """Probabilities of a question's options, which add up to 1, and how much the labels had of all."""

    question: Question
    probabilities: tuple[float, ...]
    label_mass: float
    usage: Usage

    @property
    def best(self) -> int:
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """0 where all options are alike, 1 where there is no doubt; a score's counts how far off the others are."""
        count = len(self.probabilities)
        if count == 1:
            return 1.0
        if self.question.kind != "score":
            return max(0.0, (max(self.probabilities) - 1 / count) / (1 - 1 / count))
        off = sum(p * abs(place - self.best) for place, p in enumerate(self.probabilities))
        spread = sum(abs(place - (count - 1) / 2) for place in range(count)) / count
        return max(0.0, 1 - off / spread)

    @property
    def mean(self) -> float:
        """The expected place."""
        return sum(place * p for place, p in enumerate(self.probabilities))


async def weigh(
    engine: Engine,
    base: GenerationRequest,
    questions: Sequence[Question],
    state: str,
    images: Sequence[ImagePart],
) -> list[Weighed]:
    """The answers, in order. The first is asked alone, so that the others find their beginning computed."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(place: int) -> Weighed:
        async with limit:
            request = replace(base, id=f"{base.id}-{place}" if base.id else "")
            return await _weigh(engine, request, questions[place], state, images)

    first = await one(0)
    return [first, *await asyncio.gather(*(one(place) for place in range(1, len(questions))))]


async def _weigh(
    engine: Engine, base: GenerationRequest, question: Question, state: str, images: Sequence[ImagePart]
) -> Weighed:
    text = question.prompt(state)
    content: str | tuple[Part, ...] = (*images, TextPart(text)) if images else text
    asked = replace(
        base,
        messages=(Message(role="user", content=content),),
        max_tokens=1,
        sampling={"temperature": 0.0},
        thinking=Thinking(enabled=False),
        logprobs=Logprobs(top=_TOP),
        overflow="refuse",
    )
    result = await collect(engine.generate(asked))
    tokens = result.first.logprobs
    if not tokens:
        raise InternalError("The model gave no probabilities.")
    logprobs: dict[str, float] = {}
    for token in {other.token: other for other in (tokens[0], *tokens[0].top)}.values():
        said = token.piece.decode("utf-8", "replace").strip()
        logprobs[said] = _sum(logprobs.get(said), token.logprob)
    found: list[float] = []
    for option in question.options:
        known = logprobs.get(option.label)
        if known is None:
            known = await held_to(engine, asked, option.label)
        found.append(known)
    highest = max(found)
    weights = [math.exp(value - highest) for value in found]
    total = sum(weights)
    return Weighed(
        question=question,
        probabilities=tuple(weight / total for weight in weights),
        label_mass=min(1.0, sum(math.exp(value) for value in found)),
        usage=result.usage,
    )


async def held_to(engine: Engine, asked: GenerationRequest, label: str) -> float:
    """The log-probability of `label` as the beginning of the answer: the model is held to it and says how likely.

    Probabilities are those before anything is forbidden, so a grammar does not change them.
    """
    forced = replace(
        asked,
        id=f"{asked.id}-{label}" if asked.id else "",
        constraint=Constraint(kind="choice", value=[label]),
        max_tokens=len(label) + 2,
        logprobs=Logprobs(top=0),
    )
    result = await collect(engine.generate(forced))
    found, said = 0.0, ""
    for token in result.first.logprobs:
        found += token.logprob
        said += token.piece.decode("utf-8", "replace")
        if said == label:
            return found
    raise InternalError("The model could not be held to an answer.", f"It said {said[:40]!r}.")


def _sum(one: float | None, other: float) -> float:
    """The logarithm of the sum of two probabilities."""
    if one is None:
        return other
    high, low = max(one, other), min(one, other)
    return high + math.log1p(math.exp(low - high))
