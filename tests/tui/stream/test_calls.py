"""Tool calls and JSON as a message draws them: framed, folded, copied as written, the same when they come in pieces."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.stream.answer import StreamingAnswer
from tui.stream.calls import MOST_ROWS, CallBlock, CallView
from tui.stream.frozen import FrozenMessage, MessageView
from tui.stream.lines import extract

ARGUMENTS = st.one_of(
    st.text(alphabet='{}[],:"\\ \n\tab宽', max_size=200),
    st.dictionaries(st.text(max_size=5), st.lists(st.integers(), max_size=9), max_size=9).map(json.dumps),
)


def rows(message: FrozenMessage, width: int) -> list[str]:
    message.height_at(width)
    return [line.content.plain for line in message.lines]


def view(*calls: CallView, text: str = "", **rest: object) -> MessageView:
    return MessageView("a", "assistant", text, calls=calls, **rest)  # type: ignore[arg-type]


def test_a_call_is_a_frame_with_name_arguments_and_note() -> None:
    call = CallView("1", "weather", '{"city":"Quito","days":3}', "no result yet")
    assert rows(FrozenMessage(view(call, text="I look.", meta="9 tokens")), 30) == [
        "assistant",
        "I look.",
        "",
        "╭─ ƒ weather ────────────────╮",
        "│ {                          │",
        '│   "city": "Quito",         │',
        '│   "days": 3                │',
        "│ }                          │",
        "╰─ no result yet ────────────╯",
        "9 tokens",
        "",
    ]


@given(ARGUMENTS, st.text(max_size=60), st.sampled_from([16, 40, 101]), st.booleans())
def test_every_row_of_a_frame_is_as_wide_as_the_message(
    arguments: str, name: str, width: int, folded: bool
) -> None:
    lines = CallBlock(width).draw(CallView("1", name, arguments, name), folded=folded)
    assert {cell_len(line.content.plain) for line in lines} == {width}


@given(ARGUMENTS, st.lists(st.integers(0, 200), max_size=8), st.booleans())
def test_a_call_that_came_in_pieces_looks_like_one_that_came_whole(
    arguments: str, cuts: list[int], folded: bool
) -> None:
    growing = CallBlock(40)
    for end in sorted(min(cut, len(arguments)) for cut in cuts):
        growing.draw(CallView("1", "f", arguments[:end]), folded=folded)
    call = CallView("1", "f", arguments)
    assert growing.draw(call, folded=folded) == CallBlock(40).draw(call, folded=folded)


def test_huge_arguments_are_folded_to_a_dozen_rows_and_counted() -> None:
    many = CallView("1", "f", json.dumps(list(range(5000))))
    long = CallView("2", "f", '{"text": "' + "x" * 100_000)
    for call, more in ((many, "4,990 lines more"), (long, "more · space unfolds")):
        folded = [line.content.plain for line in CallBlock(60).draw(call, folded=True)]
        assert len(folded) == MOST_ROWS + 3 and more in folded[-2]
    assert len(CallBlock(60).draw(many, folded=False)) == 5002 + 2


def test_finished_lines_of_growing_arguments_are_laid_out_once() -> None:
    block = CallBlock(60)
    arguments = json.dumps(list(range(500)))
    block.draw(CallView("1", "f", arguments[:1000]), folded=False)
    before = block.draw(CallView("1", "f", arguments[:1000]), folded=False)[1:-2]
    after = block.draw(CallView("1", "f", arguments), folded=False)
    assert len(before) > 200 and all(old is new for old, new in zip(before, after[1:], strict=False))


def test_copying_takes_the_arguments_without_the_frame() -> None:
    message = FrozenMessage(view(CallView("1", "f", '{"a": "' + "b" * 40 + '"}', "waits")))
    message.height_at(24)
    assert extract(message.lines, None, None) == '{\n  "a": "' + "b" * 40 + '"\n}'
    first = next(y for y, line in enumerate(message.lines) if '"a"' in line.content.plain)
    assert extract(message.lines, (0, first), (24, first)) == '  "a": "bbbbbbbbbbbbbb'[: 24 - 4]


def test_a_streamed_answer_with_calls_ends_in_the_frozen_form() -> None:
    answer = StreamingAnswer(MessageView("a", "assistant", ""))
    answer.height_at(40)
    answer.append("I look ")
    answer.show(view(CallView("1", "f", '{"a"')))
    answer.append("it up.")
    final = view(CallView("1", "f", '{"a": 1}', "answered"), CallView("2", "g", "[]"), meta="3 tokens")
    answer.show(final)
    assert "╭─ ƒ g" in "\n".join(rows(answer, 40))
    answer.finish("3 tokens")
    assert rows(answer, 40) == rows(FrozenMessage(answer.view), 40)
    assert answer.view == MessageView(
        **{**{name: getattr(final, name) for name in final.__slots__}, "text": "I look it up."}
    )


def test_a_new_width_draws_calls_anew() -> None:
    answer = StreamingAnswer(view(CallView("1", "f", "[1]")))
    for width in (60, 30):
        assert {cell_len(row) for row in rows(answer, width) if row[:1] in "╭│╰" and row} == {width}


TEXTS = st.one_of(
    st.text(alphabet='{}[],:"\\ \n`ab', max_size=150),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=9).map(json.dumps),
)


@given(TEXTS, st.lists(st.integers(0, 150), max_size=8))
def test_an_answer_in_json_is_one_code_block_however_it_comes(text: str, cuts: list[int]) -> None:
    answer = StreamingAnswer(view(syntax="json"))
    answer.height_at(40)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for a, b in itertools.pairwise(edges):
        answer.append(text[a:b])
    answer.finish()
    assert answer.source == text
    frozen = FrozenMessage(answer.view)
    assert rows(answer, 40) == rows(frozen, 40)
    assert len(frozen.code_blocks) == bool(text) and all(
        language == "json" for language, _ in frozen.code_blocks
    )


@pytest.mark.parametrize("width", [20, 60])
def test_figures_are_not_torn_apart(width: int) -> None:
    meta = "24 → 61 tokens · 92.0 tok/s · 412 of 430 from cache · decode 1.2 s"
    shown = [row for row in rows(FrozenMessage(view(meta=meta)), width)[1:] if row]
    assert " · ".join(shown).replace("  ", " ") if width == 60 else True
    if width == 60:
        assert shown == ["24 → 61 tokens · 92.0 tok/s · 412 of 430 from cache", "decode 1.2 s"]


def test_what_must_be_known_stands_above_the_figures() -> None:
    shown = rows(FrozenMessage(view(text="x", warning="3 left out\n5 forgotten", meta="m")), 40)
    assert shown == ["assistant", "x", "! 3 left out", "! 5 forgotten", "m", ""]
