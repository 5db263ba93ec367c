"""Characters that several tokens make come whole: never in halves, never lost."""

from __future__ import annotations

import asyncio
import re

import pytest

from engine.types import Constraint, Logprobs
from tests.parity.subject import Heard, Subject

TEXTS = (
    "日本語のテキスト、東京。",
    "👩‍🚀🧑🏽‍🌾 und 🇪🇺!",
    "Łódź, naïveté, Ångström, Ελλάδα, кошка",
    "\N{COMBINING ACUTE ACCENT}é\u200b\ufeff𝄞",
)


def check(heard: Heard, text: str) -> None:
    """`text` came, and each piece of it is text by itself."""
    assert heard.text() == text
    assert all("\ufffd" not in delta.text for delta in heard.deltas())
    assert heard.usage.completion_tokens >= len(text)


@pytest.mark.parametrize("text", TEXTS)
async def test_what_must_be_said_is_said_whole(ember: Subject, text: str) -> None:
    """The starter model knows none of it: it is written byte by byte, under a constraint."""
    constraint = Constraint(kind="choice", value=[text])
    heard = await ember.hear("Hello.", constraint=constraint, max_tokens=200, logprobs=Logprobs())
    check(heard, text)
    assert b"".join(each.piece for each in heard.logprobs()).decode() == text


async def test_a_pattern_may_be_of_any_characters(ember: Subject) -> None:
    constraint = Constraint(kind="regex", value="(🧑🏽‍🌾|👩‍🚀){2}[日本]é")
    heard = await ember.hear("Hello.", constraint=constraint, max_tokens=200)
    assert re.fullmatch(constraint.value, heard.text())
    check(heard, heard.text())


async def test_a_character_that_is_cut_off_leaves_a_mark(subject: Subject) -> None:
    """However many tokens there are, the text is a prefix; a half character at the end is one replacement."""
    text = TEXTS[1]
    if subject.backend == "scripted":
        model = {"model": f"scripted:pieces=bytes,text={text}"}
    else:
        model = {"constraint": Constraint(kind="choice", value=[text])}
    whole = await subject.hear("Hello.", max_tokens=200, **model)
    assert whole.text() == text
    limits = range(1, whole.usage.completion_tokens, 1 if subject.backend == "scripted" else 5)
    asked = [subject.hear("Hello.", max_tokens=limit, **model) for limit in limits]
    for limit, heard in zip(limits, await asyncio.gather(*asked), strict=True):
        shown = heard.text()
        assert shown.count("\ufffd") <= 1 and text.startswith(shown.removesuffix("\ufffd"))
        assert heard.usage.completion_tokens == limit


async def test_a_stop_string_may_be_of_any_characters(ember: Subject) -> None:
    text = TEXTS[0]
    for stop in ("語", "テキ", "、東京"):
        heard = await ember.hear(
            "Hello.", max_tokens=200, stop=(stop,), constraint=Constraint(kind="choice", value=[text])
        )
        assert heard.text() == text.partition(stop)[0] and heard.end().stop_string == stop


@pytest.mark.parametrize("text", [*TEXTS, "\x00\x07", "<|im_end|> <think> </s>"])
async def test_tokens_spell_the_text_they_were_made_of(subject: Subject, text: str) -> None:
    engine = subject.engine
    assert (
        await engine.detokenize(subject.model, await engine.tokenize(subject.model, text, special=False))
        == text
    )


async def test_a_prompt_of_any_characters_is_echoed(subject: Subject) -> None:
    for text in TEXTS:
        heard = await subject.hear(prompt=text, raw=True, echo=True, max_tokens=0)
        assert heard.text() == text
