"""The boundary where foreign text becomes text that a terminal may be shown.

`clean` deletes every code point that can move a cursor, open an escape sequence, reorder
text or hide in it. It looks at one code point at a time and keeps no state, so cutting the
text into chunks at any place cannot slip anything past it: clean(a) + clean(b) == clean(a + b).
Apply it to whatever Hearth did not write itself: model output, model and file names, cards
from a hub, log lines, error texts. It is not a Markdown or markup escaper; text is kept out
of markup by never parsing it as such.
"""

from __future__ import annotations

import re

FORBIDDEN_RANGES: tuple[tuple[int, int], ...] = (
    (0x0000, 0x0008),  # C0 up to backspace (BEL among them); tab and newline stay
    (0x000B, 0x001F),  # VT, FF, CR, SO, SI ... ESC ... US
    (0x007F, 0x009F),  # DEL and C1, where 0x9B alone is a CSI
    (0x061C, 0x061C),  # Arabic letter mark
    (0x200E, 0x200F),  # left-to-right and right-to-left mark
    (0x202A, 0x202E),  # bidirectional embeddings and overrides
    (0x2066, 0x2069),  # bidirectional isolates
    (0xD800, 0xDFFF),  # lone surrogates: they cannot be encoded, writing one would end the app
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xE0000, 0xE007F),  # tag characters: invisible text
)
"""Inclusive ranges of code points that never reach the screen."""

_FORBIDDEN = re.compile("[" + "".join(f"{chr(a)}-{chr(b)}" for a, b in FORBIDDEN_RANGES) + "]+")
_BLANK_RUN = re.compile(r"\s+")


def clean(text: str) -> str:
    """Return `text` without forbidden code points; tabs and newlines stay, CR goes."""
    return _FORBIDDEN.sub("", text)


def plain(text: str, limit: int | None = None) -> str:
    """Return `text` as one clean line for names and titles.

    Runs of white space, newlines among them, become one space; the ends are stripped.
    With `limit` (characters, at least 1) a longer text ends in an ellipsis.
    """
    line = _BLANK_RUN.sub(" ", clean(text)).strip()
    if limit is not None and len(line) > limit:
        line = line[: max(0, limit - 1)].rstrip() + "…"
    return line
