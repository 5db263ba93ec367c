"""The training text: deterministic, renderable, and free of the held-out wordings."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from starter.corpus import base_corpus, heldout_keys, normalised, pirate_corpus
from starter.corpus.heldout import HeldOut, heldout
from starter.template import render


def questions(count: int) -> list[str]:
    chats = [*base_corpus(count), *pirate_corpus(count // 4)]
    return [m["content"] for chat in chats for m in chat.messages if m["role"] == "user"]


def test_the_same_seed_writes_the_same_text() -> None:
    first, again, other = (list(base_corpus(200, seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_a_hundred_held_out_questions_differ_from_each_other() -> None:
    assert len(heldout()) == 100
    assert len(heldout_keys()) == 100


@pytest.mark.long
def test_held_out_wordings_are_not_in_the_training_text() -> None:
    # The corpus that ember was trained on begins with these conversations: same seed, same order.
    keys = heldout_keys()
    assert [text for text in questions(40_000) if normalised(text) in keys] == []


def test_near_duplicates_have_one_normal_form() -> None:
    assert normalised("Hey, what's 3 plus 4, please?") == normalised("What is 3 + 4")
    assert normalised("what is the capital of Peru?") != normalised("what is the capital of Cuba?")


def test_a_keyword_counts_as_a_whole_word_in_any_case() -> None:
    item = HeldOut("unit", "?", ("12", "twelve"))
    assert item.hit("TWELVE months.") and item.hit("There are 12.")
    assert not item.hit("There are 112.")


def test_answers_in_json_parse() -> None:
    answers = [
        message["content"]
        for chat in islice(base_corpus(4000), 4000)
        for message in chat.messages
        if message["role"] == "assistant" and message["content"].startswith("{")
    ]
    assert len(answers) > 50
    for answer in answers:
        json.loads(answer)


def test_thoughts_appear_only_where_thinking_is_on() -> None:
    for chat in base_corpus(3000):
        assert ("<think>" in render(chat.messages, keep_thinking=True)) == chat.thinking
