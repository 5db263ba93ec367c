"""The cost of a stream in rows drawn, which unlike milliseconds is the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.ui_streaming import KINDS, tokens
from tui.stream.answer import StreamingAnswer
from tui.stream.frozen import MessageView
from tui.stream.lines import Line
from tui.stream.splitter import split

BATCH = 33
"""Tokens of one tick at 500 tokens a second."""


class CountingAnswer(StreamingAnswer):
    """Remembers how many rows each draw replaced."""

    drawn: list[int]

    def replace_from(self, row: int, lines: Sequence[Line]) -> None:
        self.drawn.append(len(lines))
        super().replace_from(row, lines)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tick_draws_new_rows_only_however_long_the_answer_is(kind: str) -> None:
    answer = CountingAnswer(MessageView("a", "assistant", ""))
    answer.drawn = []
    answer.height_at(100)
    pieces = tokens(kind, 2000)
    for start in range(0, len(pieces), BATCH):
        answer.append("".join(pieces[start : start + BATCH]))
    assert len(answer.lines) > 100
    assert max(answer.drawn) <= 40


def test_one_paragraph_of_two_thousand_words_is_not_drawn_again_and_again() -> None:
    answer = CountingAnswer(MessageView("a", "assistant", ""))
    answer.drawn = []
    answer.height_at(80)
    words = [word for word in tokens("prose", 2100) if not word.endswith("\n\n")]
    for start in range(0, len(words), BATCH):
        answer.append("".join(words[start : start + BATCH]))
    assert len([block for block in split(answer.source) if block.kind == "paragraph"]) == 1
    assert len(answer.lines) > 100
    assert max(answer.drawn) <= 40


@pytest.mark.parametrize("kind", ["fence", "table"])
def test_the_measured_fence_and_table_are_one_block(kind: str) -> None:
    assert [block.kind for block in split("".join(tokens(kind, 500)))] == [kind]
