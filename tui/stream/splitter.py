"""Cuts a growing Markdown text into leaf blocks, line by line; knows no screen.

`BlockSplitter` does the block phase of CommonMark (https://spec.commonmark.org, appendix
"A parsing strategy") incrementally: each finished line is looked at once. What it hands out are
*leaf* blocks (paragraph, heading, fence, ...), each with the containers (quotes, list items)
around it, so a list of a thousand items is a thousand small blocks and never one large one.

    splitter = BlockSplitter()
    closed = splitter.feed(chunk)     # blocks that can no longer change
    open_ = splitter.preview()        # what follows them if the text ended here
    closed = splitter.finish()        # the text has ended

Invariants, for any chunking of the same text: the closed blocks are the same, and their `source`
joined is exactly the input. HTML is prose here; inline Markup is the business of `inline.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

BlockKind = Literal["paragraph", "heading", "fence", "code", "table", "rule", "blank"]

_QUOTE = re.compile(r" {0,3}> ?")
_ITEM = re.compile(r"( {0,3})([-+*]|\d{1,9}[.)])(?=[ \t]|$)")
_FENCE = re.compile(r" {0,3}(?:(`{3,})([^`]*)|(~{3,})(.*))$")
_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_HEADING_END = re.compile(r"(?:^|(?<=[ \t]))#+$")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_DELIMITER_ROW = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_CELL_EDGE = re.compile(r"(?<!\\)\|")


DEEPEST = 24
"""Containers around a block at most; what would open more is text."""


@dataclass(frozen=True, slots=True)
class Container:
    """A quote or a list item around a block.

    `marker` is `>` for a quote, else the item's bullet or number as written. `width` is the column,
    relative to the parent container, where the item's content starts (0 for a quote).
    """

    marker: str
    width: int
    serial: int

    @property
    def is_quote(self) -> bool:
        """True for a block quote, False for a list item."""
        return self.marker == ">"


@dataclass(slots=True)
class Block:
    """One leaf block: what it is, where it stands, and the text it came from.

    `raw` are the exact input lines with their newlines; `lines` the content lines without container
    markers and, for a fence, without its fence lines. `fresh` counts the innermost containers that
    this block is the first content of (it carries their markers). `serial` tells blocks of one
    splitter apart and stays the same while a block grows.
    """

    kind: BlockKind
    containers: tuple[Container, ...]
    fresh: int
    serial: int
    lang: str = ""
    level: int = 0
    raw: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        """The slice of the input that this block covers."""
        return "".join(self.raw)

    @property
    def in_item(self) -> bool:
        """True when any list item surrounds the block."""
        return any(not container.is_quote for container in self.containers)

    def copy(self) -> Block:
        """A block that can grow without changing this one."""
        return Block(
            self.kind,
            self.containers,
            self.fresh,
            self.serial,
            self.lang,
            self.level,
            self.raw.copy(),
            self.lines.copy(),
        )


class BlockSplitter:
    """Feed it text in any pieces, take closed blocks out. One instance per text."""

    def __init__(self) -> None:
        self._partial: list[str] = []
        self._containers: tuple[Container, ...] = ()
        self._leaf: Block | None = None
        self._fence = ""  # the opening fence while the leaf is a fence
        self._fence_indent = 0
        self._serial = 0
        self._closed: list[Block] = []

    def feed(self, text: str) -> list[Block]:
        """Take more text; return the blocks that it closed, in order."""
        *whole, rest = text.split("\n")
        for piece in whole:
            self._partial.append(piece)
            line = "".join(self._partial)
            self._partial.clear()
            self._consume(line, line + "\n")
        if rest:
            self._partial.append(rest)
        return self._take()

    def preview(self) -> list[Block]:
        """The blocks that would follow the closed ones if the text ended here; changes nothing."""
        if not self._partial:
            return [self._leaf] if self._leaf is not None else []
        scout = BlockSplitter()
        scout._containers = self._containers
        scout._leaf = self._leaf.copy() if self._leaf is not None else None
        scout._fence, scout._fence_indent = self._fence, self._fence_indent
        scout._serial = self._serial
        line = "".join(self._partial)
        self._partial = [line]
        scout._consume(line, line)
        ahead = scout._take()
        return ahead if scout._leaf is None else [*ahead, scout._leaf]

    def finish(self) -> list[Block]:
        """End the text; return the blocks that were still open."""
        if self._partial:
            line = "".join(self._partial)
            self._partial.clear()
            self._consume(line, line)
        self._close_leaf()
        self._containers = ()
        return self._take()

    def _take(self) -> list[Block]:
        closed, self._closed = self._closed, []
        return closed

    def _close_leaf(self) -> None:
        if self._leaf is not None:
            self._closed.append(self._leaf)
            self._leaf = None

    def _open(self, kind: BlockKind, fresh: int, raw: str, line: str | None = None) -> Block:
        self._serial += 1
        block = Block(kind, self._containers, fresh, self._serial, raw=[raw])
        if line is not None:
            block.lines.append(line)
        self._leaf = block
        return block

    def _consume(self, text: str, raw: str) -> None:
        """Apply one line: match the open containers, then continue or start a leaf."""
        rest, matched = self._match_containers(text)
        all_matched = matched == len(self._containers)
        leaf = self._leaf
        if leaf is not None and leaf.kind == "fence" and all_matched:
            self._continue_fence(leaf, rest, raw)
            return
        if not rest.strip(" \t"):
            self._blank(leaf, matched, raw)
            return
        in_paragraph = leaf is not None and leaf.kind == "paragraph"
        opened, rest, fresh = self._open_containers(rest, matched, in_paragraph)
        if not fresh and leaf is not None and self._continues(leaf, rest, raw, all_matched):
            return
        self._close_leaf()
        self._containers = opened
        self._start_leaf(rest, raw, fresh)

    def _match_containers(self, text: str) -> tuple[str, int]:
        matched = 0
        for container in self._containers:
            if container.is_quote:
                found = _QUOTE.match(text)
                if found is None:
                    break
                text = text[found.end() :]
            elif not text.strip(" \t"):
                text = ""
            elif indent_of(text) >= container.width:
                text = strip_columns(text, container.width)
            else:
                break
            matched += 1
        return text, matched

    def _open_containers(
        self, rest: str, matched: int, in_paragraph: bool
    ) -> tuple[tuple[Container, ...], str, int]:
        """Open every quote and list item that the line starts; return them, the rest, their count."""
        opened = self._containers[:matched]
        fresh = 0
        while len(opened) < DEEPEST and indent_of(rest) < 4:
            quote = _QUOTE.match(rest)
            if quote is not None:
                self._serial += 1
                opened += (Container(">", 0, self._serial),)
                rest = rest[quote.end() :]
                fresh += 1
                continue
            item = _ITEM.match(rest)
            if item is None or _RULE.match(rest):
                break
            after = rest[item.end() :]
            interrupts = in_paragraph and not fresh and matched == len(self._containers)
            numbered_late = item[2][:-1] not in ("", "1")
            if interrupts and (not after.strip(" \t") or numbered_late):
                break
            spaces = indent_of(after)
            if not after.strip(" \t") or spaces > 4:
                spaces = 1  # the content is empty, or an indented code block of its own
            self._serial += 1
            width = len(item[1]) + len(item[2]) + spaces
            opened += (Container(item[2], width, self._serial),)
            rest = strip_columns(after, spaces)
            fresh += 1
        return opened, rest, fresh

    def _blank(self, leaf: Block | None, matched: int, raw: str) -> None:
        if leaf is not None and leaf.kind == "code" and matched == len(self._containers):
            leaf.raw.append(raw)
            leaf.lines.append("")
            return
        self._close_leaf()
        self._containers = self._containers[:matched]
        self._open("blank", 0, raw)
        self._close_leaf()

    def _continue_fence(self, leaf: Block, rest: str, raw: str) -> None:
        leaf.raw.append(raw)
        mark = rest.strip(" \t")
        if indent_of(rest) < 4 and len(mark) >= len(self._fence) and set(mark) == set(self._fence):
            self._close_leaf()
        else:
            leaf.lines.append(strip_columns(rest, self._fence_indent))

    def _continues(self, leaf: Block, rest: str, raw: str, all_matched: bool) -> bool:
        """Let the open leaf take the line if it may; the line opened no container."""
        if leaf.kind == "code":
            if all_matched and indent_of(rest) >= 4:
                leaf.raw.append(raw)
                leaf.lines.append(strip_columns(rest, 4))
                return True
            return False
        if leaf.kind == "table":
            if not all_matched or _starts_leaf(rest):
                return False
            leaf.raw.append(raw)
            leaf.lines.append(rest)
            return True
        if leaf.kind != "paragraph":
            return False
        if all_matched and (underline := _SETEXT.match(rest)) and any(leaf.lines):
            leaf.raw.append(raw)
            leaf.kind, leaf.level = "heading", 1 if underline[1][0] == "=" else 2
            leaf.lines = [" ".join(line.strip() for line in leaf.lines)]
            self._close_leaf()
            return True
        if indent_of(rest) < 4 and _starts_leaf(rest):
            return False
        if all_matched and _DELIMITER_ROW.match(rest) and self._becomes_table(leaf, rest, raw):
            return True
        leaf.raw.append(raw)
        leaf.lines.append(rest)
        return True

    def _becomes_table(self, leaf: Block, rest: str, raw: str) -> bool:
        """Turn the paragraph's last line into a table header if the delimiter row fits it."""
        if "|" not in leaf.lines[-1] or len(table_cells(leaf.lines[-1])) != len(table_cells(rest)):
            return False
        fresh, header_raw, header = leaf.fresh, leaf.raw.pop(), leaf.lines.pop()
        if leaf.raw:
            self._close_leaf()
            fresh = 0
        table = self._open("table", fresh, header_raw, header)
        table.raw.append(raw)
        table.lines.append(rest)
        return True

    def _start_leaf(self, rest: str, raw: str, fresh: int) -> None:
        if rest.strip(" \t") and indent_of(rest) >= 4:
            self._open("code", fresh, raw, strip_columns(rest, 4))
        elif (heading := _HEADING.match(rest)) is not None:
            title = _HEADING_END.sub("", rest[heading.end() :].strip(" \t")).rstrip(" \t")
            self._open("heading", fresh, raw, title).level = len(heading[1])
            self._close_leaf()
        elif _RULE.match(rest):
            self._open("rule", fresh, raw)
            self._close_leaf()
        elif (fence := _FENCE.match(rest)) is not None:
            info = (fence[2] if fence[1] else fence[4]).split()
            self._open("fence", fresh, raw).lang = info[0] if info else ""
            self._fence = fence[1] or fence[3]
            self._fence_indent = indent_of(rest)
        else:
            self._open("paragraph", fresh, raw, rest)


def split(text: str) -> list[Block]:
    """All blocks of a finished text."""
    splitter = BlockSplitter()
    return [*splitter.feed(text), *splitter.finish()]


def code_blocks(blocks: Sequence[Block]) -> list[tuple[str, str]]:
    """The (language, code) of every fence and indented code block, in order, ready to copy."""
    return [(block.lang, block_code(block)) for block in blocks if block.kind in ("fence", "code")]


def block_code(block: Block) -> str:
    """The code of a fence or indented code block; each line ends in a newline."""
    lines = list(block.lines)
    while block.kind == "code" and lines and not lines[-1]:
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


def table_cells(row: str) -> list[str]:
    """The trimmed cells of one table row; the outer pipes are optional, `\\|` is a literal pipe."""
    row = row.strip(" \t")
    if row.startswith("|"):
        row = row[1:]
    if row.endswith("|") and not row.endswith("\\|"):
        row = row[:-1]
    return [cell.strip(" \t").replace("\\|", "|") for cell in _CELL_EDGE.split(row)]


def indent_of(text: str) -> int:
    """Columns of leading white space; a tab goes to the next multiple of four."""
    column = 0
    for character in text:
        if character == " ":
            column += 1
        elif character == "\t":
            column += 4 - column % 4
        else:
            break
    return column


def strip_columns(text: str, columns: int) -> str:
    """Remove up to `columns` columns of leading white space; a tab cut in two leaves spaces."""
    column = 0
    for index, character in enumerate(text):
        if column >= columns or character not in " \t":
            return " " * max(0, column - columns) + text[index:]
        column += 1 if character == " " else 4 - column % 4
    return " " * max(0, column - columns)


def _starts_leaf(rest: str) -> bool:
    """True when the line starts a heading, a rule or a fence, which interrupt a paragraph."""
    return bool(_HEADING.match(rest) or _RULE.match(rest) or _FENCE.match(rest))
