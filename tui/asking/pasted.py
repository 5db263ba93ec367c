"""Paths in pasted text. A file that is dragged onto a terminal, or copied in a file manager, arrives as its path.

Terminals write it in their own ways: bare, in quotes, with escaped spaces, as a `file://` address; several with
spaces or line ends between them. Nothing here looks at a disk: which reading names files is for the caller to see.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

LONGEST = 8192
"""Characters; a longer text is no list of a few paths."""
_BEGINS = ("/", "~/", "./", "../")
_WORD = re.compile(r"""(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+""", re.DOTALL)
_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)""", re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\$`])')


def readings(text: str) -> list[list[str]]:
    """The lists of paths that `text` may mean, the likeliest first; none if it does not look like paths."""
    if not text.strip() or len(text) > LONGEST or "\0" in text:
        return []
    found: list[list[str]] = []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for words in (lines, _shell_words(text)):
        paths = [_path(word) for word in words]
        whole = [path for path in paths if path]
        if whole and len(whole) == len(paths) and whole not in found:
            found.append(whole)
    return found


def typed(text: str) -> list[str]:
    """What one path that was typed or pasted behind a command may be, the likeliest first: at least one."""
    text = text.strip()
    words = _shell_words(text)
    found = [text, *(_path(text),), *(words if len(words) == 1 else ())]
    return list(dict.fromkeys(path for path in found if path))


def _shell_words(text: str) -> list[str]:
    """The words of a text as a shell reads them; none where a quote or a backslash is left open."""
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        word = _WORD.match(text, at)
        if word is None or (word.end() < len(text) and not text[word.end()].isspace()):
            return []
        words.append("".join(_plain(piece) for piece in _PIECE.finditer(word[0])))
        at = word.end()
    return words


def _plain(piece: re.Match[str]) -> str:
    single, double, escaped, bare = piece.groups()
    if double is not None:
        return _ESCAPED.sub(r"\1", double)
    return next((each for each in (single, escaped, bare) if each is not None), "")


def _path(word: str) -> str:
    """The path that a word is; empty if it is none."""
    if word.lower().startswith("file:"):
        try:
            address = urlsplit(word)
        except ValueError:
            return ""
        if address.netloc not in ("", "localhost") or not address.path.startswith("/"):
            return ""
        path = unquote(address.path, errors="surrogateescape")
        return "" if "\0" in path else path
    return word if word.startswith(_BEGINS) else ""
