"""Reasoning and answer come apart the same way however the stream is cut."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.prompt import Template, ThinkingSplitter, starts_inside, tags_of
from engine.types import Message, Thinking

OPEN, CLOSE = "<think>", "</think>"


def whole(text: str, *, inside: bool) -> tuple[str, str]:
    """Reasoning and answer of a complete output, said in the plainest way."""
    begun = text.lstrip()
    if begun.startswith(OPEN):
        begun = begun[len(OPEN) :].lstrip()
    elif not inside:
        return "", text
    reasoning, _, answer = begun.partition(CLOSE)
    return reasoning, answer.lstrip()


def split(pieces: list[str], *, inside: bool = False) -> tuple[str, str]:
    splitter = ThinkingSplitter(OPEN, CLOSE, starts_inside=inside)
    parts = [part for piece in pieces for part in splitter.feed(piece)] + splitter.flush()
    assert all(text for _, text in parts)
    kinds = [kind for kind, _ in parts]
    assert kinds == sorted(kinds, reverse=True), "reasoning comes before the answer"
    return (
        "".join(text for kind, text in parts if kind == "reasoning"),
        "".join(text for kind, text in parts if kind == "content"),
    )


fragments = st.sampled_from(
    [
        OPEN,
        CLOSE,
        "<",
        "</",
        "think",
        ">",
        "<th",
        "ink>",
        " ",
        "\n",
        "so ",
        "yes.",
        "<b>",
        "é",
        "</think",
        "a<",
    ]
)


@given(st.lists(fragments, max_size=12), st.lists(st.integers(0, 80), max_size=20), st.booleans())
@example([OPEN, "\n", "so ", CLOSE, "\n", "\n", "yes."], [], False)
@example(["\n", " "], [], True)
def test_any_chunking_gives_the_same_parts(words: list[str], cuts: list[int], inside: bool) -> None:
    text = "".join(words)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    assert split(pieces, inside=inside) == whole(text, inside=inside)
    assert split(list(text), inside=inside) == whole(text, inside=inside)


@given(st.text(max_size=80))
def test_text_without_tags_passes_whole(text: str) -> None:
    assert split(list("a" + text)) == ("", "a" + text)


def test_only_what_may_be_a_tag_is_held_back() -> None:
    splitter = ThinkingSplitter(OPEN, CLOSE)
    assert splitter.feed("<thi") == []
    assert splitter.feed("nk>2 < 3") == [("reasoning", "2 < 3")]
    assert splitter.feed(" so</thi") == [("reasoning", " so")]
    assert splitter.feed("s") == [("reasoning", "</this")]
    assert splitter.feed("</think>\n\nYes") == [("content", "Yes")]
    assert splitter.feed(" <think> is a tag") == [("content", " <think> is a tag")]


def test_tags_are_found_in_real_templates(shared_data: Path) -> None:
    def tags(name: str) -> tuple[str, str] | None:
        return tags_of((shared_data / "templates" / name).read_text())

    assert tags("Qwen-Qwen3-0.6B.jinja") == (OPEN, CLOSE)
    assert tags("Qwen-QwQ-32B.jinja") == (OPEN, CLOSE)
    assert tags("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja") == (OPEN, CLOSE)
    assert tags("ByteDance-Seed-OSS.jinja") == ("<seed:think>", "</seed:think>")
    assert tags("google-gemma-2-2b-it.jinja") is None
    assert tags_of(None) is None


@pytest.mark.parametrize(
    ("name", "thinking", "inside"),
    [
        ("Qwen-QwQ-32B.jinja", Thinking(), True),
        ("Qwen-Qwen3-0.6B.jinja", Thinking(), False),
        ("Qwen-Qwen3-0.6B.jinja", Thinking(enabled=False), False),
        ("deepseek-ai-DeepSeek-V3.1.jinja", Thinking(enabled=True), True),
        ("deepseek-ai-DeepSeek-V3.1.jinja", Thinking(enabled=False), False),
    ],
)
def test_a_prompt_that_opens_the_reasoning_is_seen(
    shared_data: Path, name: str, thinking: Thinking, inside: bool
) -> None:
    template = Template((shared_data / "templates" / name).read_text())
    prompt = template.render([Message(role="user", content="What does <think> mean?")], thinking=thinking)
    assert starts_inside(prompt, (OPEN, CLOSE)) is inside
