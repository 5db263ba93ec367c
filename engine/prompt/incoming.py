"""Text that is still coming, read by steps that wait for what they need.

A step is a generator: it yields the parts that are ready, and None when it must wait for more text. So a reader
is written as if the whole text were there, and gives the same parts however it is cut into pieces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from engine.prompt.extent import Extent
from engine.prompt.parts import AnswerPart

T = TypeVar("T")
Step = Generator[AnswerPart | None, None, T]
Give = Callable[[str], AnswerPart | None]
"""Takes a piece of text; what it makes of it is given out, if anything."""

MOST_SPACE = 64
"""Most characters of white space that are held back: a model may write nothing else."""


class Incoming:
    """The text not yet read. What is read can be recorded, to be given out as it stands if it proves nothing."""

    def __init__(self) -> None:
        self._text = ""
        self._ended = False
        self._record: list[str] | None = None

    def feed(self, text: str) -> None:
        self._text += text

    def end(self) -> None:
        """No more text comes: steps that wait find what is there."""
        self._ended = True

    @property
    def ended(self) -> bool:
        """Whether no more text comes."""
        return self._ended

    @property
    def rest(self) -> str:
        """The text that is there and not yet read."""
        return self._text

    @property
    def over(self) -> bool:
        """Whether the text has ended and all of it is read."""
        return self._ended and not self._text

    def record(self) -> None:
        """Keep what is read from here on."""
        self._record = []

    def recorded(self) -> str:
        """What was read since `record`, and no longer kept."""
        text = "".join(self._record or ())
        self._record = None
        return text

    def _take(self, count: int) -> str:
        taken, self._text = self._text[:count], self._text[count:]
        if self._record is not None:
            self._record.append(taken)
        return taken

    def has(self, count: int) -> Step[bool]:
        """Whether `count` more characters come."""
        while len(self._text) < count:
            if self._ended:
                return False
            yield None
        return True

    def space(self) -> Step[None]:
        """Read white space, if any."""
        while True:
            kept = self._text.lstrip()
            if len(kept) < len(self._text):
                self._take(len(self._text) - len(kept))
            if kept or self._ended:
                return
            yield None

    def literal(self, text: str) -> Step[bool]:
        """Read `text` if it comes next; where it has white space, any amount of it will do."""
        if text[:1].isspace():
            yield from self.space()
        words = text.split()
        for number, word in enumerate(words):
            if number:
                yield from self.space()
            if not (yield from self._word(word)):
                return False
        if words and text[-1:].isspace():
            yield from self.space()
        return True

    def _word(self, word: str) -> Step[bool]:
        while not self._text.startswith(word):
            if self._ended or not word.startswith(self._text):
                return False
            yield None
        self._take(len(word))
        return True

    def opened(self, text: str) -> Step[bool]:
        """Read `text` and the white space around it if it comes next; else leave all as it is."""
        while not (begun := self._text.lstrip()).startswith(text):
            if self._ended or not text.startswith(begun):
                return False
            yield None
        self._take(len(self._text) - len(begun) + len(text))
        yield from self.space()
        return True

    def closing(self, text: str) -> Step[None]:
        """Read `text` as far as it comes next: what closes a thing that is whole already may be missing."""
        for word in text.split():
            yield from self.space()
            if not (yield from self._word(word)):
                if self._ended and word.startswith(self._text):
                    self._take(len(self._text))
                return

    def comes(self, text: str) -> Step[bool]:
        """Whether `text` comes next, leaving it there."""
        while not self._text.startswith(text):
            if self._ended or not text.startswith(self._text):
                return False
            yield None
        return True

    def until(self, ends: Sequence[str], give: Give, *, trim: bool = False) -> Step[str | None]:
        """Give text out until one of `ends` comes next: that one, left unread, or None at the end of the text.

        With `trim`, white space before an end (the last `MOST_SPACE` of it) is left unread as well.
        """
        while True:
            at, end = self._first(ends)
            size = len(self._text) if end is None else at
            if end is None and not self._ended:
                size -= _overlap(self._text, ends)
            if trim and not (end is None and self._ended):
                tail = self._text[max(0, size - MOST_SPACE) : size]
                size -= len(tail) - len(tail.rstrip())
            if size:
                part = give(self._take(size))
                if part is not None:
                    yield part
            if end is not None:
                return end
            if self._ended:
                return None
            yield None

    def held_until(self, ends: Sequence[str]) -> Step[tuple[str, str | None]]:
        """The text before one of `ends`, and that one, left unread; None for it at the end of the text."""
        kept: list[str] = []
        end = yield from self.until(ends, kept.append)
        return "".join(kept), end

    def short_until(self, end: str, longest: int) -> Step[str | None]:
        """The text before `end`, which is left unread; None if it does not come within `longest` characters."""
        while (at := self._text.find(end)) < 0:
            if self._ended or len(self._text) > longest + len(end):
                return None
            yield None
        return self._take(at) if at <= longest else None

    def skip(self, count: int) -> None:
        """Read `count` characters that are there."""
        self._take(count)

    def run(self, letters: re.Pattern[str], longest: int) -> Step[str]:
        """The longest run of `letters` that comes next, up to `longest` characters."""
        while True:
            found = letters.match(self._text)
            size = found.end() if found is not None else 0
            if size < len(self._text) or size > longest or self._ended:
                return self._take(min(size, longest))
            yield None

    def _first(self, ends: Sequence[str]) -> tuple[int, str | None]:
        """Where the first of `ends` begins; the longest of those that begin there."""
        found = [(place, -len(end), end) for end in ends if (place := self._text.find(end)) >= 0]
        return (min(found)[0], min(found)[2]) if found else (-1, None)

    def json_text(self) -> Step[str | None]:
        """One JSON value, held until it is whole; None if it never is."""
        kept: list[str] = []
        return "".join(kept) if (yield from self.json_value(kept.append)) else None

    def json_string(self) -> Step[str | None]:
        """A JSON string, decoded; None if none comes, or it is malformed."""
        if not (yield from self.comes('"')):
            return None
        text = yield from self.json_text()
        try:
            return None if text is None else str(json.loads(text, strict=False))
        except ValueError:
            return None

    def json_value(self, give: Give) -> Step[bool]:
        """Give out one JSON value as it comes: whether it ended. Its inside is not checked."""
        extent = Extent()
        begun = False
        while True:
            size = extent.take(self._text)
            if size:
                begun = True
                part = give(self._take(size))
                if part is not None:
                    yield part
            if extent.done or self._ended:
                return begun and (extent.done or extent.open_ended)
            yield None


def _overlap(text: str, ends: Sequence[str]) -> int:
    """Length of the longest end of `text` that is a beginning of one of `ends`."""
    longest = max(map(len, ends), default=1) - 1
    for size in range(min(len(text), longest), 0, -1):
        tail = text[-size:]
        if any(end.startswith(tail) for end in ends):
            return size
    return 0
