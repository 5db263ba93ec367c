"""Caps on what a constraint may hold, and the errors that name what is beyond them.

They stand before every native call: a schema of one line can ask for a grammar of gigabytes. The parsers here and
in the library descend into nested text, so depth is capped before anything descends.
"""

from __future__ import annotations

from typing import Final

from engine.errors import InvalidRequest, Unsupported

LONGEST: Final = 64 * 1024
"""Characters of a grammar or a pattern, of all choices together, or of a schema as compact JSON."""
DEEPEST: Final = 100
"""Groups inside one another in a grammar or a pattern."""
MOST_ALTERNATIVES: Final = 5_000
"""Alternatives of a whole grammar or pattern."""
DEEPEST_SCHEMA: Final = 32
"""Schemas inside one another, and lists and objects inside one another in a value that a schema names."""
MOST_PROPERTIES: Final = 500
"""Properties, named or by pattern, of a whole schema."""
MOST_VALUES: Final = 2_000
"""Values of all `enum`s of a schema together, and choices."""
MOST_LEVELS: Final = 800
"""Levels of a schema and of each definition that it refers to, together: all may lie inside one another, and the
library descends into them on its stack (4 MiB for so many)."""
MOST_RULES: Final = 1_200
"""Rules and groups of a GBNF grammar, for the same reason."""
MOST_NAME_PATTERNS: Final = 50
"""Patterns of `patternProperties` in a schema: each is compared with each."""
MOST_MEETING: Final = 8
"""Patterns and formats that one text must fit at once."""
MOST_COMPARED: Final = 400_000
"""Listed values times characters of the patterns that they must fit."""
LARGEST_DIVISOR: Final = 10_000
"""Least common multiple of all `multipleOf` of a schema, decimal points aside: how many remainders are told apart."""
LARGEST_COUNT: Final = 4_096
"""Largest bound on a length, a number of items or properties, or a repetition."""


def invalid(what: str, why: str = "", fix: str = "") -> InvalidRequest:
    """The error for a constraint that is wrong."""
    return InvalidRequest(what, why, fix, param="constraint")


def unsupported(what: str, why: str = "", fix: str = "") -> Unsupported:
    """The error for a constraint that is right and cannot be held."""
    return Unsupported(what, why, fix, param="constraint")


def check_length(text: str, what: str) -> None:
    """Raises InvalidRequest if `text`, which is `what`, is longer than a constraint may be."""
    if len(text) > LONGEST:
        raise invalid(
            f"The {what} is too long.", f"It has {len(text):,} characters; {LONGEST:,} are allowed."
        )


def check_count(count: int, place: str) -> None:
    """Raises InvalidRequest if `count`, a bound that stands at `place`, is larger than a grammar can count."""
    if count > LARGEST_COUNT:
        raise invalid(
            f"{place} is too large: {count:,}.", f"A grammar can count to {LARGEST_COUNT:,}.", "Lower it."
        )
