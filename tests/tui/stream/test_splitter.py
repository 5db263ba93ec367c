from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.stream.splitter import (
    Block,
    BlockSplitter,
    block_code,
    code_blocks,
    indent_of,
    split,
    strip_columns,
    table_cells,
)

FRAGMENTS = [
    "word ", "two words", "\n", "\n\n", "    ", "  ", "\t", "- ", "* ", "1. ", "2) ", "> ", "# ", "### ",
    "```", "```py\n", "~~~", "---", "===", "| a | b |", "|---|---|", "a | b", "***",
    "[x]: http://y", "`", "é", "💡",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join)


def feed_in(text: str, cuts: list[int]) -> list[Block]:
    splitter = BlockSplitter()
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    blocks: list[Block] = []
    for a, b in itertools.pairwise(edges):
        blocks += splitter.feed(text[a:b])
        splitter.preview()
    return blocks + splitter.finish()


def shape(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """(kind, markers of the containers) of every block that shows something."""
    return [
        (block.kind, tuple(container.marker for container in block.containers))
        for block in split(text)
        if block.kind != "blank"
    ]


@given(TEXTS, st.lists(st.integers(0, 300), max_size=12))
def test_sources_joined_are_the_text_for_any_chunking(text: str, cuts: list[int]) -> None:
    blocks = feed_in(text, cuts)
    assert "".join(block.source for block in blocks) == text
    assert blocks == split(text)


@given(TEXTS)
def test_a_preview_is_what_ending_here_would_give(text: str) -> None:
    splitter = BlockSplitter()
    closed = splitter.feed(text)
    assert closed + splitter.preview() == split(text)


@given(st.text(alphabet="ab \n`~->#|1.\t", max_size=60), st.integers(0, 60))
def test_closed_blocks_are_never_taken_back(text: str, cut: int) -> None:
    early = BlockSplitter().feed(text[:cut])
    assert split(text)[: len(early)] == early


def test_plain_paragraphs_headings_and_rules() -> None:
    assert shape("# one\ntext\nmore\n\n---\n\nSetext\n===\nOther\n---\n") == [
        ("heading", ()),
        ("paragraph", ()),
        ("rule", ()),
        ("heading", ()),
        ("heading", ()),
    ]
    levels = [
        block.level for block in split("### three ###\n\nA\n===\n\nB\n---\n") if block.kind == "heading"
    ]
    assert levels == [3, 1, 2]
    assert split("## title ##\n")[0].lines == ["title"]


def test_a_fence_keeps_blank_lines_and_shorter_fences_inside() -> None:
    (block,) = split("````md\n```py\nx\n```\n\n````\n")
    assert (block.kind, block.lang) == ("fence", "md")
    assert block_code(block) == "```py\nx\n```\n\n"


def test_a_tilde_fence_is_not_closed_by_backticks() -> None:
    (block,) = split("~~~ sh -x\n```\n~~~\n")
    assert (block.lang, block_code(block)) == ("sh", "```\n")


def test_an_unclosed_fence_lasts_to_the_end() -> None:
    blocks = split("before\n\n```c\nint x;\n\n# not a heading")
    assert blocks[-1].kind == "fence"
    assert block_code(blocks[-1]) == "int x;\n\n# not a heading\n"


def test_a_fence_in_a_list_item_is_a_block_of_its_own_without_the_indent() -> None:
    blocks = [
        b for b in split("1. do\n   ```py\n   if x:\n       y()\n   ```\n2. next\n") if b.kind != "blank"
    ]
    assert [b.kind for b in blocks] == ["paragraph", "fence", "paragraph"]
    assert block_code(blocks[1]) == "if x:\n    y()\n"
    assert [c.marker for c in blocks[2].containers] == ["2."]


def test_a_fence_ends_with_the_item_that_holds_it() -> None:
    assert shape("- a\n  ```\n  code\nout\n") == [("paragraph", ("-",)), ("fence", ("-",)), ("paragraph", ())]


def test_tabs_in_code_survive() -> None:
    assert code_blocks(split("```make\nall:\n\tcc x.c\n```\n")) == [("make", "all:\n\tcc x.c\n")]


def test_indented_code_keeps_inner_blank_lines_and_relative_indent() -> None:
    blocks = split("text\n\n    a\n\n      b\n\nend\n")
    (code,) = [block for block in blocks if block.kind == "code"]
    assert block_code(code) == "a\n\n  b\n"


def test_indented_text_continues_a_paragraph() -> None:
    assert shape("text\n    more\n") == [("paragraph", ())]


def test_nested_lists_and_quotes_carry_their_containers() -> None:
    assert shape("- a\n  - b\n    > c\n- d\n") == [
        ("paragraph", ("-",)),
        ("paragraph", ("-", "-")),
        ("paragraph", ("-", "-", ">")),
        ("paragraph", ("-",)),
    ]


def test_a_lazy_line_stays_in_the_quote() -> None:
    (block,) = split("> a\nb\n")
    assert block.lines == ["a", "b"]


def test_a_number_other_than_one_does_not_interrupt_a_paragraph() -> None:
    assert shape("It was\n1984. A year.\n") == [("paragraph", ())]
    assert shape("Steps:\n1. go\n") == [("paragraph", ()), ("paragraph", ("1.",))]


@pytest.mark.parametrize("header", ["| a | b |\n|---|:-:|\n", "a | b\n--- | ---\n"])
def test_tables_with_and_without_outer_pipes(header: str) -> None:
    assert shape(header + "1 | 2\n\nafter\n") == [("table", ()), ("paragraph", ())]


def test_a_table_right_below_text_is_its_own_block() -> None:
    assert shape("Look:\n| a | b |\n|---|---|\n| 1 | 2 |\n") == [("paragraph", ()), ("table", ())]


def test_a_delimiter_row_that_does_not_fit_makes_no_table() -> None:
    assert shape("| a | b |\n|---|\n") == [("paragraph", ())]


def test_cells_may_hold_escaped_pipes() -> None:
    assert table_cells(r"| a \| b | c |") == ["a | b", "c"]


def test_html_is_prose() -> None:
    assert shape("<div>\n<b>x</b>\n</div>\n") == [("paragraph", ())]


@given(st.text(alphabet=" \tx", max_size=12), st.integers(0, 12))
def test_stripping_columns_removes_columns(text: str, columns: int) -> None:
    before, after = indent_of(text), indent_of(strip_columns(text, columns).replace("\t", "    "))
    if "\t" not in text:
        assert after == max(0, before - columns)


def test_ten_thousand_hostile_characters_are_split_at_once() -> None:
    for text in ("#" + " " * 10_000 + "x", "- " * 5_000, "> " * 5_000, "|" * 10_000, "-" * 10_000):
        assert "".join(block.source for block in split(text)) == text
