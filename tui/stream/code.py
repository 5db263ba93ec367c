"""Code to highlighted lines, through Pygments; one `Content` per line, no wrapping.

Highlighting only colours: the number of lines and their text are the source's.
"""

from __future__ import annotations

from functools import lru_cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token
from pygments.util import ClassNotFound
from textual.content import Content, Span
from textual.highlight import HighlightTheme

from engine.text_safety import clean

TAB_COLUMNS = 4
_UNSET = ""
# Styles derived from automatic text colours lose their strength in Content, so comments name the foreground.
# What a lexer takes for an error is mostly a line that is still being written, so it is no more than text.
_STYLES: dict[object, str] = {
    token: style.replace("$text 60%", "$foreground-muted italic")
    for token, style in HighlightTheme.STYLES.items()
    if token is not Token.Error
}


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=1024)
def _style(token_type: object) -> str:
    """The theme style of a token type or of its nearest ancestor that has one."""
    while token_type is not None:
        style = _STYLES.get(token_type)
        if style:
            return style
        token_type = getattr(token_type, "parent", None)
    return _UNSET


def highlight_lines(lines: list[str], language: str) -> list[Content]:
    """Each line of `lines` (without newlines) as styled text, tabs expanded to four columns.

    An unknown or empty `language` (a Pygments alias such as `python`) gives plain text.
    """
    lines = [clean(line).expandtabs(TAB_COLUMNS) for line in lines]
    lexer = _lexer(language.lower()) if language else None
    if lexer is None:
        return [Content(line) for line in lines]
    spans: list[list[Span]] = [[] for _ in lines]
    row = column = 0
    for token_type, value in lexer.get_tokens("\n".join(lines)):
        style = _style(token_type)
        for index, part in enumerate(value.split("\n")):
            if index:
                row, column = row + 1, 0
            if part and row < len(lines):
                if style:
                    spans[row].append(Span(column, column + len(part), style))
                column += len(part)
    return [Content(line, found) for line, found in zip(lines, spans, strict=True)]
