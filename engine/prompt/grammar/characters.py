"""Sets of characters as ranges of code points, and how a pattern of the library writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Ranges = tuple[tuple[int, int], ...]
"""Code points, first and last of each range included."""

LAST: Final = 0x10FFFF
DIGITS: Final[Ranges] = ((0x30, 0x39),)
WORD: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Final[Ranges] = (
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)
"""White space and line ends of ECMA-262."""
LINE_ENDS: Final[Ranges] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
ANY: Final = r"(?s:.)"
"""Any one character, as a pattern."""


def others(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """All code points that are in none of `ranges`."""
    found, start = [], 0
    for first, last in sorted(ranges):
        if first > start:
            found.append((start, first - 1))
        start = max(start, last + 1)
    return (*found, (start, LAST)) if start <= LAST else tuple(found)


def character(point: int) -> str:
    """The pattern of one code point: letters and digits as they are, the rest escaped, so nothing has a meaning."""
    letter = chr(point)
    return letter if letter.isascii() and letter.isalnum() else f"\\x{{{point:x}}}"


def character_class(ranges: Iterable[tuple[int, int]], *, negated: bool = False, more: str = "") -> str:
    """The pattern of one character of `ranges` or of the classes written in `more`; of any other if `negated`."""
    written = "".join(
        character(first) if first == last else f"{character(first)}-{character(last)}"
        for first, last in ranges
    )
    return f"[{'^' if negated else ''}{written}{more}]"
