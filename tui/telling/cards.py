"""A model's card made readable in a terminal: the pictures, badges and HTML that it holds mean nothing here. Pure.

What it says stays, within fences to the letter. Nothing of this is for safety: that is `clean`, and that text is
never read as markup.
"""

from __future__ import annotations

import re

MOST = 40_000
"""Characters that are shown of a card; longer ones are cut at a line."""
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]{0,20}(?:\s[^<>]{0,2000})?/?>")
_BADGE = re.compile(r"\[!\[[^\[\]]{0,300}\]\([^()\s]{0,2000}\)\]\([^()\s]{0,2000}\)")
_PICTURE = re.compile(r"!\[([^\[\]]{0,300})\]\([^()\n]{0,2000}\)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6])\s*/?>", re.IGNORECASE)
_GAP = re.compile(r"\n(?:[ \t]*\n){2,}")
_HEADING = re.compile(r"<h([1-6])(?:\s[^<>]{0,2000})?>", re.IGNORECASE)


def readable(text: str) -> tuple[str, bool]:
    """The card without what only a browser draws, and whether it was cut."""
    cut = len(text) > MOST
    if cut:
        text = text[:MOST].rpartition("\n")[0] or text[:MOST]
    found: list[str] = []
    prose: list[str] = []
    fence = ""
    for line in text.split("\n"):
        opening = _FENCE.match(line)
        if fence:
            found.append(line)
            if opening is not None and opening[1].startswith(fence):
                fence = ""
        elif opening is not None:
            found.append(_without_html("\n".join(prose)))
            prose = []
            fence = opening[1]
            found.append(line)
        else:
            prose.append(line)
    found.append(_without_html("\n".join(prose)))
    return "\n".join(found).strip("\n"), cut


def _without_html(text: str) -> str:
    text = _COMMENT.sub("", text)
    text = _BADGE.sub("", text)
    text = _PICTURE.sub(lambda found: f"({found[1]})" if found[1].strip() else "", text)
    text = _HEADING.sub(lambda found: "\n" + "#" * int(found[1]) + " ", text)
    text = _BREAK.sub("\n", text)
    return _GAP.sub("\n\n", _TAG.sub("", text))
