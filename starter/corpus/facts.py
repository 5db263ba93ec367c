"""The plain facts ember knows, by kind; the tables of rows are in the files imported here."""

from __future__ import annotations

from functools import cache

from . import calendar, geography, nature, words
from .conversation import Fact
from .trivia import trivia


@cache
def all_facts() -> dict[str, tuple[Fact, ...]]:
    """Facts by the kind of question they answer."""
    return {
        "capital": tuple(geography.capitals()),
        "country": tuple(geography.places()),
        "animal": tuple(nature.animals()),
        "colour": tuple(nature.colours()),
        "science": tuple(nature.science()),
        "opposite": tuple(words.opposites()),
        "word": tuple(words.word_facts()),
        "calendar": tuple(calendar.calendar_facts()),
        "unit": tuple(calendar.unit_facts()),
        "trivia": tuple(trivia()),
    }
