"""Inline Markdown (emphasis, code, links, ...) to styled `Content`; no blocks, no markup tags.

Parsing is markdown-it's. Everything it returns is cleaned once more, because Markdown can spell what
the boundary removed: `&#x202e;` is a bidirectional override and `<http://a/%1b>` shows an escape
character after decoding. HTML stays literal text. A link shows its address beside its text, so what
will be opened is seen before it is; nothing here is clickable.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from textual.content import Content, Span

from engine.text_safety import clean

CODE_STYLE = "$text-accent on $boost"
LINK_STYLE = "$text-primary underline"
ADDRESS_STYLE = "$foreground-muted"
_OPENING = {"strong_open": "bold", "em_open": "italic", "s_open": "strike", "link_open": LINK_STYLE}
_CLOSING = {"strong_close", "em_close", "s_close", "link_close"}
_DEFINITION = re.compile(r" {0,3}\[([^\[\]]+)\]:[ \t]*<?(\S+?)>?(?:[ \t]+[\"'(].*)?[ \t]*$")
_SPECIAL = re.compile(r"[\\`*_~\[\]<>&!\n]|https?:|www\.|@")

References = Mapping[str, str]
"""Link reference definitions: the label, upper-cased with single spaces, to its address."""


_PARSERS = threading.local()
"""One parser a thread: it keeps what it is looking at, and texts are laid out in several threads."""


def _parser() -> MarkdownIt:
    made: MarkdownIt | None = getattr(_PARSERS, "parser", None)
    if made is None:
        made = MarkdownIt("commonmark", {"html": False, "linkify": True})
        _PARSERS.parser = made.enable(["linkify", "strikethrough"])
    return made


def definitions(line: str) -> tuple[str, str] | None:
    """The (label, address) of a link reference definition line, or None if it is not one."""
    found = _DEFINITION.match(line)
    return (_label(found[1]), found[2]) if found is not None else None


def _label(text: str) -> str:
    return " ".join(text.split()).upper()


def render_inline(
    source: str, references: References | None = None, style: str = "", line_breaks: bool = False
) -> Content:
    """Styled text of one run of inline Markdown.

    `style` lies under all of it. A newline in the source is a space, or stays a newline with
    `line_breaks` (for what a person typed); a hard break is always a newline.
    """
    if not _SPECIAL.search(source):
        text = clean(source).replace("\t", " ")
        return Content(text, [Span(0, len(text), style)] if style and text else None)
    environment: dict[str, Any] = {
        "references": {label: {"href": address, "title": ""} for label, address in (references or {}).items()}
    }
    tokens = _parser().parseInline(source, environment)
    children = tokens[0].children if tokens else None
    return _Run(line_breaks).build(children or [], style)


class _Run:
    """Collects text and spans of one token list."""

    def __init__(self, line_breaks: bool) -> None:
        self._line_breaks = line_breaks
        self._parts: list[str] = []
        self._spans: list[Span] = []
        self._length = 0

    def build(self, tokens: list[Token], style: str) -> Content:
        open_at: list[tuple[int, Token]] = []
        for token in tokens:
            if token.type in _OPENING:
                open_at.append((self._length, token))
            elif token.type in _CLOSING:
                start, opening = open_at.pop()
                self._style(start, _OPENING[opening.type])
                if opening.type == "link_open":
                    self._address(start, str(opening.attrs.get("href", "")))
            else:
                self._leaf(token)
        if style and self._length:
            self._spans.insert(0, Span(0, self._length, style))
        return Content("".join(self._parts), self._spans)

    def _leaf(self, token: Token) -> None:
        if token.type == "code_inline":
            start = self._length
            self._text(token.content.replace("\n", " "))
            self._style(start, CODE_STYLE)
        elif token.type == "softbreak":
            self._text("\n" if self._line_breaks else " ")
        elif token.type == "hardbreak":
            self._text("\n")
        elif token.type == "image":
            start = self._length
            self._text(f"[image: {token.content}]")
            self._style(start, "italic")
            self._address(start, str(token.attrs.get("src", "")))
        else:
            self._text(token.content)

    def _text(self, text: str) -> None:
        text = clean(text).replace("\t", " ")
        self._parts.append(text)
        self._length += len(text)

    def _style(self, start: int, style: str) -> None:
        if self._length > start:
            self._spans.append(Span(start, self._length, style))

    def _address(self, start: int, address: str) -> None:
        shown = "".join(self._parts)[start:]
        address = clean(address)
        if address and shown not in (address, address.removeprefix("mailto:")):
            begin = self._length
            self._text(f" ‹{address}›")
            self._style(begin, ADDRESS_STYLE)
