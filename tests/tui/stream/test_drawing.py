"""Markdown to rows: inline text, blocks, and that a stream ends in exactly the frozen form."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content

from engine.text_safety import clean
from tui.stream.answer import StreamingAnswer
from tui.stream.blocks import layout
from tui.stream.code import highlight_lines
from tui.stream.frozen import FrozenMessage, MessageView
from tui.stream.inline import CODE_STYLE, render_inline
from tui.stream.lines import extract, fold_code, wrap_content, wrap_pieces
from tui.stream.splitter import split
from tui.stream.table import fit_columns

PARTS = [
    "word ", "**bold** ", "*em", "`code` ", "``", "[text](http://a.b) ", "\n", "\n\n", "- ",
    "  - ", "1. ", "> ",
    "```python\n", "def f(x): return x", "```\n", "~~~\n", "| a | b |\n", "|---|--:|\n",
    "| 1 | two |\n", "# ",
    "[ref]: http://ref\n", "[ref] ", "宽字符 ", "snake_case ", "    ", "\t",
    "a longer sentence that must be wrapped ",
]  # fmt: skip
MARKDOWN = st.lists(st.sampled_from(PARTS), max_size=40).map("".join)


def rows(message: FrozenMessage, width: int) -> list[str]:
    message.height_at(width)
    return [line.content.plain for line in message.lines]


def drawn(text: str, width: int = 40) -> list[str]:
    return [line.content.plain for line in layout(split(text), width)]


def streamed(text: str, cuts: list[int], width: int) -> StreamingAnswer:
    answer = StreamingAnswer(MessageView("a", "assistant", ""))
    answer.height_at(width)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for a, b in itertools.pairwise(edges):
        answer.append(text[a:b])
    return answer


@given(MARKDOWN, st.lists(st.integers(0, 500), max_size=15), st.sampled_from([12, 40, 100]))
def test_a_finished_stream_looks_like_the_frozen_message(text: str, cuts: list[int], width: int) -> None:
    answer = streamed(text, cuts, width)
    answer.finish()
    assert answer.source == text
    assert rows(answer, width) == rows(FrozenMessage(answer.view), width)


@given(MARKDOWN.filter(lambda text: "|" not in text), st.lists(st.integers(0, 500), max_size=15))
def test_an_open_stream_looks_the_same_for_any_chunking(text: str, cuts: list[int]) -> None:
    assert rows(streamed(text, cuts, 40), 40) == rows(streamed(text, [], 40), 40)


@given(MARKDOWN, st.sampled_from([12, 40, 100]), st.sampled_from([12, 40, 100]))
def test_a_new_width_in_mid_stream_starts_over_cleanly(text: str, first: int, second: int) -> None:
    half = len(text) // 2
    answer = streamed(text[:half], [], first)
    answer.height_at(second)
    answer.append(text[half:])
    answer.finish()
    assert rows(answer, second) == rows(FrozenMessage(answer.view), second)


@given(MARKDOWN, st.integers(20, 90))
def test_prose_rows_fit_the_width(text: str, width: int) -> None:
    blocks = [
        block for block in split(text) if block.kind in ("paragraph", "heading") and not block.containers
    ]
    assert all(cell_len(line.content.plain) <= width for line in layout(blocks, width))


def test_a_long_paragraph_settles_without_changing() -> None:
    sentence = "The **cache** keeps `keys` of every [token](http://t.o) and some_names too. "
    text = sentence * 60
    answer = StreamingAnswer(MessageView("a", "assistant", ""))
    answer.height_at(60)
    for index in range(0, len(text), 23):
        answer.append(text[index : index + 23])
    assert answer._tail is not None and answer._tail._standing > 50
    assert rows(answer, 60) == rows(FrozenMessage(answer.view), 60)


def test_inline_styles_and_addresses_are_shown() -> None:
    content = render_inline("a **b** `c` [d](http://e) <http://f>")
    assert content.plain == "a b c d ‹http://e› http://f"
    styles = {content.plain[span.start : span.end]: span.style for span in content.spans}
    assert styles["b"] == "bold" and styles["c"] == CODE_STYLE


@pytest.mark.parametrize(
    "text",
    [
        "&#27;[2J",
        "&#x202e;x",
        "&#13;",
        "<http://a/%1b]0;t%07>",
        "![x](http://a/%1b[2J)",
        "[a](http://b/%9b31m)",
    ],
)
def test_what_markdown_can_spell_is_cleaned_again(text: str) -> None:
    shown = render_inline(text).plain
    assert clean(shown) == shown


def test_markup_tags_are_text() -> None:
    text = "[bold]x[/bold] [/] [@click=app.quit]y[/] [red on"
    assert render_inline(text).plain == text
    assert drawn(f"```\n{text}\n```", 80) == [f"▎ {text}"]


def test_lists_have_bullets_hanging_indents_and_keep_their_spacing() -> None:
    assert drawn("- one two three four\n  - five\n- six\n\n3. seven", 16) == [
        "• one two three",
        "  four",
        "  ◦ five",
        "• six",
        "",
        "3. seven",
    ]
    assert drawn("- a\n\n- b") == ["• a", "", "• b"]


def test_quotes_draw_a_bar_through_their_gaps() -> None:
    assert drawn("> a\n>\n> b\n\nc") == ["▎ a", "▎ ", "▎ b", "", "c"]


def test_a_table_is_aligned_and_its_cells_wrap() -> None:
    assert drawn("| a | n |\n|---|--:|\n| x | 1 |\n| yy | 23 |") == [
        "a   │   n",
        "────┼────",
        "x   │   1",
        "yy  │  23",
    ]
    wide = drawn("| a | b |\n|---|---|\n| x | " + "word " * 12 + "|", 30)
    assert len(wide) == 5 and all(cell_len(row) <= 30 for row in wide)


@given(st.lists(st.integers(1, 80), min_size=1, max_size=6), st.integers(20, 120))
def test_columns_fit_and_only_wide_ones_shrink(natural: list[int], available: int) -> None:
    widths = fit_columns(natural, available)
    assert sum(widths) <= available
    assert all(width <= max(3, wish) for width, wish in zip(widths, natural, strict=True))
    if sum(max(3, wish) for wish in natural) <= available:
        assert widths == [max(3, wish) for wish in natural]


def test_reference_links_resolve_once_the_answer_is_finished() -> None:
    answer = streamed("See [docs].\n\n[docs]: http://d.o\n", [], 60)
    answer.finish()
    assert "See docs ‹http://d.o›." in rows(answer, 60)


def test_typed_text_keeps_its_line_breaks() -> None:
    assert "one" in rows(FrozenMessage(MessageView("u", "user", "one\ntwo")), 40)
    assert "one two" in rows(FrozenMessage(MessageView("a", "assistant", "one\ntwo")), 40)


def test_thinking_is_one_line_while_it_comes_and_its_text_when_unfolded() -> None:
    answer = StreamingAnswer(MessageView("a", "assistant", ""))
    answer.height_at(40)
    answer.append_reasoning("let me think")
    assert rows(answer, 40) == ["assistant", "▸ thinking", ""]
    answer.show(MessageView("a", "assistant", "", thought="thinking · 3 tokens"))
    assert rows(answer, 40) == ["assistant", "▸ thinking · 3 tokens", ""]
    answer.show(MessageView("a", "assistant", "", thought="thinking · 3 tokens", folded=False))
    answer.append_reasoning(" on")
    assert rows(answer, 40) == ["assistant", "▾ thinking · 3 tokens", "let me think on", ""]
    answer.show(MessageView("a", "assistant", "", thought="thought · 4 tokens"))
    answer.append("done")
    assert rows(answer, 40) == ["assistant", "▸ thought · 4 tokens", "done", ""]
    answer.finish()
    assert rows(answer, 40) == rows(FrozenMessage(answer.view), 40)


def test_thinking_without_figures_is_counted_in_words() -> None:
    view = MessageView("a", "assistant", "done", reasoning="let me think")
    assert "▸ thought, 3 words" in rows(FrozenMessage(view), 40)


@given(
    st.lists(
        st.sampled_from(["so ", "the cache", "\n", "\n\n", "\t", "long thoughts about it "]), max_size=30
    ),
    st.booleans(),
)
def test_thinking_looks_the_same_however_it_is_cut(pieces: list[str], folded: bool) -> None:
    view = MessageView("a", "assistant", "", folded=folded)
    cut, whole = (StreamingAnswer(view) for _ in range(2))
    cut.height_at(20)
    whole.height_at(20)
    for piece in pieces:
        cut.append_reasoning(piece)
        cut.height_at(20)
    whole.append_reasoning("".join(pieces))
    assert rows(cut, 20) == rows(whole, 20)
    cut.append("answer")
    cut.finish()
    assert rows(cut, 20) == rows(FrozenMessage(cut.view), 20)


def test_a_live_meta_line_redraws_the_foot_only() -> None:
    answer = StreamingAnswer(MessageView("a", "assistant", ""))
    answer.height_at(40)
    answer.append("one\n\ntwo")
    before = list(answer.lines)
    answer.show(MessageView("a", "assistant", "", meta="3 tok/s"))
    assert rows(answer, 40)[-2:] == ["3 tok/s", ""]
    assert all(a is b for a, b in zip(answer.lines, before[:3], strict=False))


def test_highlighting_keeps_every_line() -> None:
    source = ['def f():\t"""doc', 'more"""', "", "  return  1  "]
    shown = highlight_lines(source, "python")
    assert [line.plain for line in shown] == [line.expandtabs(4) for line in source]
    assert shown[1].spans, "the second line of a string is a string"
    assert [line.plain for line in highlight_lines(source, "no-such-language")] == [x.plain for x in shown]


@given(st.text(alphabet="ab 宽\n", max_size=120), st.integers(2, 20))
def test_wrapping_fits_and_loses_only_spaces(text: str, width: int) -> None:
    pieces = [text[piece.start : piece.end] for piece in wrap_pieces(text, width)]
    assert all(cell_len(piece) <= width or piece.isspace() for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@given(st.text(alphabet="ab 宽", max_size=80), st.integers(2, 20))
def test_folded_code_joins_to_the_line_it_was(text: str, width: int) -> None:
    parts = fold_code(Content(text), width)
    assert "".join(content.plain for content, _ in parts) == text
    assert all(cell_len(content.plain) <= width for content, _ in parts)


def test_copying_joins_wrapped_rows_and_leaves_decoration_out() -> None:
    message = FrozenMessage(
        MessageView("a", "assistant", "one two three four five\n\n```py\nx = 1\n```\n", meta="9 tok")
    )
    message.height_at(12)
    assert extract(message.lines, None, None) == "one two three four five\n\nx = 1"


def test_wrapped_spans_stay_on_their_words() -> None:
    wrapped = wrap_content(render_inline("aaa **bbb** ccc"), 4)
    assert [content.plain for content, _ in wrapped] == ["aaa", "bbb", "ccc"]
    assert [bool(content.spans) for content, _ in wrapped] == [False, True, False]
