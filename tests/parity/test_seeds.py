"""A seed is a text: the same one again, another one otherwise, whoever runs beside it."""

from __future__ import annotations

import asyncio
from typing import Any

from engine.types import CachePolicy
from tests.parity.subject import Subject

WARM = {"temperature": 1.5, "top_k": 0, "top_p": 1.0}
FRESH = CachePolicy(read=False)
"""Computed in the same way each time, so that no last digit differs."""
RANDOM = "scripted:random=1,text=a b c d e f g h i j k l m n o p"


def asked(subject: Subject, seed: int, **more: Any) -> dict[str, Any]:
    said = {"sampling": WARM | {"seed": seed}, "max_tokens": 16, "cache": FRESH} | more
    return said | ({"model": RANDOM} if subject.backend == "scripted" else {})


async def test_one_seed_is_one_text(subject: Subject) -> None:
    texts = [
        (await subject.hear("Tell me a story.", **asked(subject, seed))).text() for seed in (0, 0, 1, 7, 7)
    ]
    assert texts[0] == texts[1] and texts[3] == texts[4]
    assert len(set(texts)) == 3


async def test_a_seed_of_any_size_is_reported_and_repeats(subject: Subject) -> None:
    for seed in (2**32, 2**63 - 1, -1):
        heard = await subject.hear("Tell me a story.", **asked(subject, seed))
        used = heard.done.seed
        assert used is not None and (seed < 0 or used == seed % 2**32)
        assert (await subject.hear("Tell me a story.", **asked(subject, used))).text() == heard.text()


async def test_who_says_no_seed_gets_a_fresh_one(subject: Subject) -> None:
    heard = [await subject.hear("Tell me a story.", **asked(subject, -1)) for _ in range(4)]
    assert len({each.done.seed for each in heard}) == 4


async def test_choices_are_drawn_with_the_seeds_that_follow(subject: Subject) -> None:
    heard = await subject.hear("Tell me a story.", **asked(subject, 5, n=3))
    alone = [(await subject.hear("Tell me a story.", **asked(subject, seed))).text() for seed in (5, 6, 7)]
    assert [heard.text(choice) for choice in range(3)] == alone


async def test_company_changes_no_draw(subject: Subject) -> None:
    alone = (await subject.hear("Tell me a story.", **asked(subject, 3))).text()
    requests = [subject.hear(f"Say {number}.", **asked(subject, number)) for number in range(5)]
    heard = await asyncio.gather(subject.hear("Tell me a story.", **asked(subject, 3)), *requests)
    assert heard[0].text() == alone
