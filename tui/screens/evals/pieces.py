"""Pieces that the panels of Evals are made of: headings, tables, bars, two texts side by side, what differs in them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from itertools import zip_longest

from textual.content import Content

from engine.text_safety import clean, plain
from tui.stream.lines import wrap_content

MARKS = {True: ("✓", "$success"), False: ("✗", "$error"), None: ("·", "$muted")}
"""Of passed, not passed, and neither."""
FINDINGS = {"better": "$success", "worse": "$error"}
MOST_WORDS = 4000
"""Words of a text beyond which no differences are looked for."""
MOST_SHOWN = 20_000
"""Characters of a text that are drawn."""
_WORDS = re.compile(r"\s*\S+\s*|\s+")


def heading(text: str, width: int) -> Content:
    """A title with a rule behind it."""
    rule = "─" * max(1, width - len(text) - 1)
    return Content.assemble((text, "bold $primary"), " ", (rule, "$line"))


def table(rows: Sequence[tuple[str, str]], width: int, *, most: int = 400) -> list[Content]:
    """Names and values; what does not fit goes on below itself."""
    label = max((len(name) for name, _ in rows), default=0) + 2
    found: list[Content] = []
    for name, value in rows:
        lines = wrap_content(Content(plain(value, most)), max(8, width - label))
        for place, (line, _) in enumerate(lines):
            found.append(Content.assemble((f"{'' if place else name:<{label}}", "$muted"), line))
    return found


def text(value: str, width: int, style: str = "") -> list[Content]:
    """Foreign text, wrapped."""
    shown = clean(value[:MOST_SHOWN]) or "–"
    if len(value) > MOST_SHOWN:
        shown += f"\n… {len(value) - MOST_SHOWN:,} more characters"
    return styled(Content.styled(shown, style) if style else Content(shown), width)


def styled(content: Content, width: int) -> list[Content]:
    """Content that may hold several lines, wrapped."""
    return [row for line in content.split("\n") for row, _ in wrap_content(line, max(8, width))]


def interval(
    low: float, value: float, high: float, width: int, *, bounds: tuple[float, float] = (0.0, 1.0)
) -> Content:
    """Where a value lies between `bounds` and how sure that is: `╌╌━━━●━━╌╌`."""
    begin, end = bounds
    span = (end - begin) or 1.0

    def cell(of: float) -> int:
        return max(0, min(width - 1, math.floor((of - begin) / span * width)))

    first, middle, last = cell(low), cell(value), cell(high)
    return Content.assemble(
        ("╌" * first, "$gauge-track"),
        ("━" * (middle - first), "$gauge"),
        ("●", "bold $gauge"),
        ("━" * (last - middle), "$gauge"),
        ("╌" * (width - 1 - last), "$gauge-track"),
    )


def beside(left: Sequence[Content], right: Sequence[Content], width: int) -> list[Content]:
    """Two columns with a line between them."""
    room = (width - 3) // 2
    return [
        Content.assemble(
            (one or Content("")).truncate(room).pad_right(max(0, room - (one or Content("")).cell_length)),
            (" │ ", "$line"),
            other or Content(""),
        )
        for one, other in zip_longest(left, right)
    ]


def difference(first: str, second: str) -> Content:
    """The second text, what it has more marked as come, what only the first has as gone."""
    before, after = _WORDS.findall(clean(first)), _WORDS.findall(clean(second))
    if len(before) > MOST_WORDS or len(after) > MOST_WORDS:
        return Content(clean(second))
    parts: list[Content] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = "".join(before[a:b]), "".join(after[c:d])
        if kind == "equal":
            parts.append(Content(come))
            continue
        if gone:
            parts.append(Content.styled(gone, "$text-error strike"))
        if come:
            parts.append(Content.styled(come, "$text-success underline"))
    return Content("").join(parts)
