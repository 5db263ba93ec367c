"""What models and people write, as HTML that is safe to show.

Three things stand between a text and the page: the Markdown reader knows no HTML and escapes it; what it makes is cut
down to a list of harmless tags by nh3, as the last step; and the page's own rules let no script in but its files. The
only attributes that pass are the addresses of links and the classes below: a title would be written out again with its
angle brackets, which htmx takes for tags of its own. Pictures from elsewhere become links: looking at one tells its
server that somebody did.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup, escape
from msgspec import Struct

from engine.text_safety import clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST_CODE: Final = 60_000
"""Characters of a code block that are coloured."""
_TAGS: Final = frozenset(
    "a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong s table tbody td th thead tr ul "
    "button".split()
)
_ATTRIBUTES: Final = {"a": {"href"}, "ol": {"start"}, "div": {"class"}, "span": {"class"}, "td": {"class"},
                      "th": {"class"}, "button": {"class", "type"}}  # fmt: skip
_SCHEMES: Final = frozenset({"http", "https", "mailto"})


class Blocks(Struct, frozen=True):
    """A text that is still being written: `done` will not change any more, `open` may."""

    done: tuple[str, ...]
    """The sources of the blocks that are closed."""
    open: str


@lru_cache(maxsize=1024)
def html_of(text: str) -> Markup:
    """`text`, which is Markdown, as HTML. May take a while for long texts: for threads."""
    return Markup(_cleaned(_reader().render(clean(text))))


def blocks_of(text: str) -> Blocks:
    """Where `text` can be cut, so that what was shown of it need not be drawn again while it grows.

    A block of Markdown is closed as soon as another begins behind it; the last line says nothing before its end is
    there. Only definitions of links reach further back: they show when all of it is drawn once more, at its end.
    `text` has no carriage returns.
    """
    whole = text[: text.rfind("\n") + 1]
    starts = [
        token.map[0]
        for token in _reader().parse(whole)
        if token.level == 0 and token.map and token.nesting >= 0
    ]
    if len(starts) < 2:
        return Blocks((), text)
    lines = text.split("\n")
    edges = [0, *starts[1:]]
    done = tuple("\n".join(lines[start:end]) for start, end in pairwise(edges))
    return Blocks(done, "\n".join(lines[edges[-1] :]))


@lru_cache(maxsize=1)
def _cleaner() -> Any:
    import nh3

    return nh3.Cleaner(
        tags=set(_TAGS),
        attributes={"*": set(), **{tag: set(names) for tag, names in _ATTRIBUTES.items()}},
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
    )


def _cleaned(html: str) -> str:
    found: str = _cleaner().clean(html)
    return found


@lru_cache(maxsize=1)
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False, "linkify": True, "typographer": False})
    reader.enable(["table", "strikethrough", "linkify"])
    reader.add_render_rule("image", _image)
    reader.add_render_rule("fence", _fence)
    reader.add_render_rule("code_block", _fence)
    reader.add_render_rule("table_open", _table_open)
    reader.add_render_rule("table_close", _table_close)
    for cell in ("th_open", "td_open"):
        reader.add_render_rule(cell, _cell)
    return reader


def _image(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    token = tokens[place]
    address = str(token.attrGet("src") or "")
    words = token.content or "picture"
    return f'<a href="{escape(address)}">{escape(words)}</a>'


def _fence(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    token = tokens[place]
    language = token.info.strip().split(" ")[0][:40] if token.info else ""
    head = f'<span class="language">{escape(language)}</span>'
    copy = '<button class="copy" type="button">Copy</button>'
    code = coloured(token.content, language)
    return (
        f'<div class="code"><div class="code-head">{head}{copy}</div><pre><code>{code}</code></pre></div>\n'
    )


def coloured(code: str, language: str) -> str:
    """`code` as HTML, with the classes of its colours where its language is known."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    if not language or len(code) > LONGEST_CODE:
        return str(escape(code))
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return str(escape(code))
    found: str = highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix="c-"))
    return found


def _table_open(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return '<div class="table"><table>\n'


def _table_close(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return "</table></div>\n"


def _cell(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    """Alignment as a class: the page's rules let no style in."""
    token = tokens[place]
    style = str(token.attrGet("style") or "")
    kind = next((side for side in ("right", "center") if style.endswith(side)), "")
    return f'<{token.tag} class="{kind}">' if kind else f"<{token.tag}>"
