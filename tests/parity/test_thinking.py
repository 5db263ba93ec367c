"""A model thinks if it is asked to, as long as it may, and apart from its answer."""

from __future__ import annotations

from typing import Any

import pytest

from engine.types import Constraint, Thinking
from tests.parity.subject import Subject

QUESTION = "What is the weather in Rome?"


async def test_thoughts_are_apart_from_the_answer(subject: Subject) -> None:
    text = "<think>a plan of some words</think>an answer"
    model: dict[str, Any] = (
        {"model": f"scripted:thinking=1,pieces=bytes,text={text}"} if subject.backend == "scripted" else {}
    )
    heard = await subject.hear(QUESTION, thinking=Thinking(enabled=True), max_tokens=120, **model)
    assert heard.reasoning().strip() and heard.text().strip()
    assert "think>" not in heard.reasoning() + heard.text()
    hidden = await subject.hear(
        QUESTION, thinking=Thinking(enabled=True, visible=False), max_tokens=120, **model
    )
    assert (hidden.reasoning(), hidden.text()) == ("", heard.text())
    assert hidden.usage == heard.usage or hidden.usage.reasoning_tokens == heard.usage.reasoning_tokens > 0


async def test_it_thinks_as_long_as_it_may(ember: Subject) -> None:
    lengths = []
    for budget in (3, 5, None):
        heard = await ember.hear(QUESTION, thinking=Thinking(enabled=True, budget=budget), max_tokens=120)
        assert heard.text() and heard.reasoning()
        tokens = await ember.engine.tokenize(ember.model, heard.reasoning(), special=False)
        lengths.append(len(tokens))
        assert heard.usage.reasoning_tokens >= len(tokens)
    assert lengths[0] <= 3 < lengths[1] <= 5 < lengths[2]


async def test_it_does_not_think_unasked(ember: Subject) -> None:
    for thinking in (Thinking(), Thinking(enabled=False)):
        heard = await ember.hear(QUESTION, thinking=thinking)
        assert heard.reasoning() == "" and heard.usage.reasoning_tokens == 0 and heard.text()


@pytest.mark.parametrize(
    "thinking", [Thinking(), Thinking(enabled=True), Thinking(enabled=True, budget=4)], ids=str
)
async def test_the_answer_is_held_to_its_form_and_the_thoughts_are_not(
    ember: Subject, thinking: Thinking
) -> None:
    yes_or_no = Constraint(kind="choice", value=["yes", "no"])
    heard = await ember.hear(QUESTION, constraint=yes_or_no, thinking=thinking, max_tokens=120)
    assert heard.text() in ("yes", "no")
    assert bool(heard.reasoning()) is bool(thinking.enabled)


async def test_all_backends_think_the_same_of_it(ember: Subject) -> None:
    facts = await ember.engine.facts(ember.model)
    assert (facts.thinking, facts.tool_format) == ("switch", "hermes")
