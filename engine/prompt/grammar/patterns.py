"""Regular expressions as people write them, rewritten to the dialect of the library.

Understood is what JavaScript, Python and Rust agree on, in the meaning that JSON Schema gives it (ECMA-262): `\\d`
and `\\w` are ASCII, and `.` is anything but a line end. Every character comes out escaped, since the library reads
`[a&&b]` or `[[:alpha:]]` in ways of its own. What no finite automaton can hold is refused by name: looking around,
references to groups, word boundaries, anchors in the middle.
"""

from __future__ import annotations

import re
from typing import Final

from engine.errors import HearthError
from engine.prompt.grammar import characters
from engine.prompt.grammar.characters import Ranges, character, character_class, others
from engine.prompt.grammar.limits import (
    DEEPEST,
    MOST_ALTERNATIVES,
    check_count,
    check_length,
    invalid,
    unsupported,
)

_ANYTHING: Final = f"{characters.ANY}*"
_CLASSES: Final[dict[str, Ranges]] = {
    "d": characters.DIGITS,
    "D": others(characters.DIGITS),
    "w": characters.WORD,
    "W": others(characters.WORD),
    "s": characters.SPACE,
    "S": others(characters.SPACE),
}
_CONTROLS: Final = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_PROPERTY: Final = re.compile(r"\{[A-Za-z_]+(?:=[A-Za-z_]+)?\}")
_COUNTS: Final = re.compile(r"\{(\d{1,9})(,(\d{1,9})?)?\}")
_HEXADECIMAL: Final = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}")
_LOW_SURROGATE: Final = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
_GROUPS: Final = re.compile(r"\?(?::|P?<[A-Za-z_]\w*>)")
_AROUND: Final = ("?=", "?!", "?<=", "?<!")


def whole(pattern: str, place: str = "The regular expression") -> str:
    """The library's pattern for texts that `pattern` matches from end to end; `place` begins its errors."""
    if not pattern:
        raise invalid(f"{place} is empty.", "It would match no text but the empty one.")
    return "|".join(text for _, text, _ in _Reader(pattern, place).read())


def somewhere(pattern: str, place: str) -> str:
    """The same for texts in which `pattern` matches a part, anchored at both ends: what JSON Schema means."""
    branches = _Reader(pattern, place).read()
    return f"^(?:{'|'.join(_padded(*branch) for branch in branches)})$"


def _padded(begins: bool, text: str, ends: bool) -> str:
    return f"{'' if begins else _ANYTHING}{text}{'' if ends else _ANYTHING}"


class _Reader:
    """Reads one pattern from left to right and writes it anew."""

    def __init__(self, pattern: str, place: str) -> None:
        check_length(pattern, f"{place[0].lower()}{place[1:]}".removeprefix("the "))
        self._text, self._place = pattern, place
        self._at = 0
        self._depth = 0
        self._alternatives = 0

    def read(self) -> list[tuple[bool, str, bool]]:
        """The branches: whether each is anchored at its begin, its pattern, whether it is anchored at its end."""
        branches = [self._branch()]
        while self._take("|"):
            branches.append(self._branch())
        if self._text.startswith(")", self._at):
            raise self._wrong("`)` closes nothing")
        if self._at < len(self._text):
            raise self._beyond("an anchor in the middle")
        return branches

    def _branch(self) -> tuple[bool, str, bool]:
        begins = self._take("^")
        text = self._sequence()
        return begins, text, self._take("$")

    def _sequence(self) -> str:
        self._alternatives += 1
        if self._alternatives > MOST_ALTERNATIVES:
            raise invalid(f"{self._place} has more than {MOST_ALTERNATIVES:,} alternatives.")
        found = []
        while self._at < len(self._text) and self._text[self._at] not in "|)$":
            found.append(self._quantified(self._atom()))
        return "".join(found)

    def _atom(self) -> str:
        letter = self._text[self._at]
        self._at += 1
        match letter:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return character_class(characters.LINE_ENDS, negated=True)
            case "\\":
                return self._escape()
            case "^":
                raise self._beyond("an anchor in the middle")
            case "*" | "+" | "?":
                raise self._wrong(f"there is nothing for `{letter}` to repeat")
        return self._letter(ord(letter))

    def _letter(self, point: int) -> str:
        if 0xD800 <= point <= 0xDFFF:
            raise self._wrong("half of a surrogate pair stands alone")
        return character(point)

    def _group(self) -> str:
        for around in _AROUND:
            if self._text.startswith(around, self._at):
                raise self._beyond(f"looking around, `({around}`")
        if opened := _GROUPS.match(self._text, self._at):
            self._at = opened.end()
        elif self._text.startswith("?", self._at):
            raise self._beyond(f"`({self._text[self._at : self._at + 2]}`")
        self._depth += 1
        if self._depth > DEEPEST:
            raise invalid(f"{self._place} is nested deeper than {DEEPEST} groups.")
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        if self._text.startswith("$", self._at):
            raise self._beyond("an anchor in a group")
        if not self._take(")"):
            raise self._wrong("a group is not closed")
        self._depth -= 1
        return f"(?:{'|'.join(branches)})"

    def _class(self) -> str:
        negated = self._take("^")
        if self._text.startswith("]", self._at):
            raise self._wrong("a class is empty; write `\\]` for a bracket in it")
        ranges: list[tuple[int, int]] = []
        properties = ""
        while not self._take("]"):
            first = self._member()
            if isinstance(first, int):
                ranges.append((first, self._range_end(first)))
            elif isinstance(first, str):
                properties += first
            else:
                ranges += first
        return character_class(ranges, negated=negated, more=properties)

    def _member(self) -> int | Ranges | str:
        """The next character of a class, or the class that an escape in it stands for."""
        if self._at >= len(self._text):
            raise self._wrong("a class is not closed")
        letter = self._text[self._at]
        self._at += 1
        if letter != "\\":
            return ord(letter)
        if self._take("b"):
            return 8
        return self._escaped()

    def _range_end(self, first: int) -> int:
        """The last character of the range that begins with `first`; itself where there is no range."""
        if not self._text.startswith("-", self._at) or self._text.startswith("-]", self._at):
            return first
        here = self._at
        self._at += 1
        last = self._member()
        if not isinstance(last, int):
            self._at = here
            return first
        if last < first:
            raise self._wrong("a range of characters runs backwards")
        return last

    def _escape(self) -> str:
        if self._text.startswith(("b", "B"), self._at):
            raise self._beyond("a word boundary")
        found = self._escaped()
        if isinstance(found, int):
            return self._letter(found)
        return found if isinstance(found, str) else character_class(found)

    def _escaped(self) -> int | Ranges | str:
        """What stands for the escape whose backslash was read: a code point, a class, or a class by its property."""
        letter = self._text[self._at : self._at + 1]
        if not letter:
            raise self._wrong("a backslash ends it")
        if hexadecimal := _HEXADECIMAL.match(self._text, self._at):
            self._at = hexadecimal.end()
            return self._joined(int(next(filter(None, hexadecimal.groups())), 16))
        self._at += 1
        if letter in _CLASSES:
            return _CLASSES[letter]
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in "pP" and (named := _PROPERTY.match(self._text, self._at)):
            self._at = named.end()
            return f"\\{letter}{named[0]}"
        if letter == "0" and not self._text[self._at : self._at + 1].isdigit():
            return 0
        if letter.isdigit() or letter == "k":
            raise self._beyond("a reference to a group")
        if letter.isalpha():
            raise self._beyond(f"the escape `\\{letter}`")
        return ord(letter)

    def _joined(self, point: int) -> int:
        """`point`, or the character that it makes with the low surrogate that follows it."""
        if point > characters.LAST:
            raise self._wrong("an escape is beyond the last code point")
        if 0xD800 <= point <= 0xDBFF and (low := _LOW_SURROGATE.match(self._text, self._at)):
            self._at = low.end()
            return 0x10000 + ((point - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        return point

    def _quantified(self, atom: str) -> str:
        if counts := _COUNTS.match(self._text, self._at):
            self._at = counts.end()
            least, most = int(counts[1]), int(counts[3] or counts[1])
            if most < least:
                raise self._wrong("a repetition runs backwards")
            check_count(most, f"A repetition in {self._place[0].lower()}{self._place[1:]}")
            quantifier = counts[0]
        elif self._text[self._at : self._at + 1] in ("*", "+", "?"):
            quantifier = self._text[self._at]
            self._at += 1
        else:
            return atom
        # Lazy or not, the same texts match.
        if not self._take("?") and self._text.startswith("+", self._at):
            raise self._beyond("a possessive repetition")
        return f"{atom}{quantifier}"

    def _take(self, letter: str) -> bool:
        if not self._text.startswith(letter, self._at):
            return False
        self._at += 1
        return True

    def _wrong(self, why: str) -> HearthError:
        return invalid(
            f"{self._place} cannot be read.", f"At character {self._at}, {why}.", "Mend the pattern."
        )

    def _beyond(self, what: str) -> HearthError:
        return unsupported(
            f"{self._place} asks for {what}, which a grammar cannot hold.",
            f"It stands before character {self._at}.",
            "Write the pattern without it.",
        )
