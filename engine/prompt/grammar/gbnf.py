"""GBNF, the grammar language of llama.cpp (its grammars/README.md), rewritten to Lark.

Every character becomes a lexeme of its own. The library splits text into lexemes before it parses, always taking the
longest, so that `[a-z]+ "x"` with a lexeme for the first part could never reach its second; characters, which have
no longer match, leave the splitting to the parser, as in llama.cpp.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from engine.errors import InvalidRequest
from engine.prompt.grammar import characters
from engine.prompt.grammar.characters import character_class
from engine.prompt.grammar.lark import literal
from engine.prompt.grammar.limits import (
    DEEPEST,
    MOST_ALTERNATIVES,
    MOST_RULES,
    check_count,
    check_length,
    invalid,
    unsupported,
)

_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_BLANK: Final = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_COUNTS: Final = re.compile(r"\{\s*(\d{1,9})\s*(,\s*(\d{1,9})?\s*)?\}")
_NEVER: Final = "{0,0}"
"""Lark has no repetition that cannot come."""
_TOKEN: Final = re.compile(r"<(?:\[(\d{1,9})\]|[^<>\s\[\]]+)>")
_HEXADECIMAL: Final = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_ESCAPES: Final = {"t": 9, "r": 13, "n": 10, "\\": 0x5C, '"': 0x22, "[": 0x5B, "]": 0x5D, "-": 0x2D}


class _Item(Struct, frozen=True):
    """One piece of a sequence; with the Lark names of the rule that it is, and of the one that it cannot do without."""

    text: str
    rule: str | None = None
    needs: str | None = None


_Alternatives = list[list[_Item]]


def to_lark(text: str) -> str:
    """The Lark rules, `start` first, for the grammar `text` in GBNF, whose first rule is called `root`.

    Raises InvalidRequest for what is no GBNF, with the line, and for what is beyond the caps.
    """
    check_length(text, "grammar")
    reader = _Reader(text)
    rules = reader.read()
    if len(rules) + len(reader.groups) > MOST_RULES:
        raise invalid(f"The grammar has more than {MOST_RULES:,} rules and groups.")
    if "root" not in rules:
        raise invalid(
            "The grammar has no rule `root`.", "Output begins with it.", "Call the first rule `root`."
        )
    for name, line in reader.references.items():
        if name not in rules:
            raise invalid(f"The rule `{name}` is not defined.", f"Line {line} refers to it.", "Define it.")
    whole = {_named(name): rules[name] for name in sorted(rules, key=lambda name: name != "root")}
    whole |= {_group(index): alternatives for index, alternatives in enumerate(reader.groups)}
    _check_ends(whole, {_named(name): name for name in rules})
    return "\n".join(f"{name}: {_body(name, alternatives)}" for name, alternatives in whole.items())


def _named(rule: str) -> str:
    """The name in Lark, where rules have small letters only."""
    return "start" if rule == "root" else "r-" + re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", rule)


def _group(index: int) -> str:
    """The name of the rule that a group becomes: Lark may not be nested as deep as GBNF."""
    return f"g{index}"


def _check_ends(whole: dict[str, _Alternatives], names: dict[str, str]) -> None:
    """Refuses a rule that no text fits, as each of its alternatives leads back to it."""
    waiting: dict[str, list[tuple[str, set[str]]]] = {}
    """For each rule the alternatives that wait for it: whose they are, and all that they wait for."""
    ready: list[str] = []
    for name, alternatives in whole.items():
        for items in alternatives:
            needs = {item.needs for item in items if item.needs is not None}
            for need in needs:
                waiting.setdefault(need, []).append((name, needs))
            if not needs:
                ready.append(name)
    ending: set[str] = set()
    while ready:
        name = ready.pop()
        ending.add(name)
        for owner, needs in waiting.pop(name, ()):
            needs.discard(name)
            if not needs and owner not in ending:
                ready.append(owner)
    for name in whole:
        if name not in ending and name in names:
            raise invalid(
                f"The rule `{names[name]}` never ends.",
                "Each of its alternatives leads back to it.",
                "Add one that does not.",
            )


def _body(name: str, alternatives: _Alternatives) -> str:
    """The right side of a rule, recursion at its end made a repetition: `a: x a | y` is `x* y`.

    The parser keeps every open level of such a recursion, so long outputs would exceed its limits.
    """
    loops = [items[:-1] for items in alternatives if items and items[-1].rule == name and items[:-1]]
    rest = [items for items in alternatives if not items or items[-1].rule != name]
    return f"({_written(loops)})* ({_written(rest)})" if loops else _written(rest)


def _written(alternatives: _Alternatives) -> str:
    return " | ".join(" ".join(item.text for item in items) or '""' for items in alternatives)


class _Reader:
    """Reads one grammar from top to bottom."""

    def __init__(self, text: str) -> None:
        self.references: dict[str, int] = {}
        """Rules that others name, with the line of the first mention."""
        self.groups: list[_Alternatives] = []
        self._text = text
        self._at = 0
        self._depth = 0
        self._alternatives = 0

    def read(self) -> dict[str, _Alternatives]:
        """The rules by name; of two with one name the last counts, as in llama.cpp."""
        rules: dict[str, _Alternatives] = {}
        self._skip(_SPACE)
        while self._at < len(self._text):
            name = self._name()
            self._skip(_BLANK)
            if not self._take("::="):
                raise self._wrong(f"`::=` must follow the rule's name `{name}`")
            self._skip(_SPACE)
            rules[name] = self._choices(nested=False)
            if self._at < len(self._text) and self._text[self._at] not in "\r\n":
                raise self._wrong(f"`{self._text[self._at]}` cannot stand here")
            self._skip(_SPACE)
        return rules

    def _choices(self, *, nested: bool) -> _Alternatives:
        found = [self._sequence(nested=nested)]
        while self._take("|"):
            self._skip(_SPACE)
            found.append(self._sequence(nested=nested))
        return found

    def _sequence(self, *, nested: bool) -> list[_Item]:
        self._alternatives += 1
        if self._alternatives > MOST_ALTERNATIVES:
            raise invalid(f"The grammar has more than {MOST_ALTERNATIVES:,} alternatives.")
        blank = _SPACE if nested else _BLANK
        found: list[_Item] = []
        while self._at < len(self._text):
            item = self._item()
            if item is None:
                break
            self._skip(blank)
            quantifier = self._quantifier()
            if quantifier is not None:
                needs = None if quantifier.startswith(("*", "?", "{0")) else item.needs
                item = _Item(f"({item.text}){quantifier}" if quantifier != _NEVER else '""', needs=needs)
                self._skip(blank)
            found.append(item)
        return found

    def _item(self) -> _Item | None:
        match self._text[self._at]:
            case '"':
                return _Item(self._string())
            case "[":
                return _Item(self._class())
            case ".":
                self._at += 1
                return _Item(f"/{characters.ANY}/")
            case "(":
                group = self._group()
                return _Item(group, needs=group)
            case "<" | "!":
                return _Item(self._token())
            case "*" | "+" | "?" | "{":
                raise self._wrong("there is nothing to repeat")
        if not _NAME.match(self._text, self._at):
            return None
        name = self._name()
        if name not in self.references:
            self.references[name] = self._line()
        return _Item(_named(name), _named(name), _named(name))

    def _group(self) -> str:
        self._at += 1
        self._skip(_SPACE)
        self._depth += 1
        if self._depth > DEEPEST:
            raise invalid(f"The grammar is nested deeper than {DEEPEST} groups.")
        alternatives = self._choices(nested=True)
        if not self._take(")"):
            raise self._wrong("a group is not closed")
        self._depth -= 1
        self.groups.append(alternatives)
        return _group(len(self.groups) - 1)

    def _string(self) -> str:
        self._at += 1
        found = []
        while not self._take('"'):
            found.append(literal(chr(self._character("a string"))))
        return f"({' '.join(found)})" if len(found) != 1 else found[0]

    def _class(self) -> str:
        self._at += 1
        negated = self._take("^")
        ranges = []
        while not self._take("]"):
            first = last = self._character("a class")
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                last = self._character("a class")
            if last < first:
                raise self._wrong("a range of characters runs backwards")
            ranges.append((first, last))
        if not ranges:
            raise self._wrong("a class is empty")
        return f"/{character_class(ranges, negated=negated)}/"

    def _character(self, inside: str) -> int:
        if self._at >= len(self._text):
            raise self._wrong(f"{inside} is not closed")
        letter = self._text[self._at]
        self._at += 1
        point = ord(letter)
        if letter == "\\":
            if hexadecimal := _HEXADECIMAL.match(self._text, self._at):
                self._at = hexadecimal.end()
                point = int(next(filter(None, hexadecimal.groups())), 16)
            elif (escaped := self._text[self._at : self._at + 1]) in _ESCAPES:
                self._at += 1
                point = _ESCAPES[escaped]
            else:
                raise self._wrong(f"the escape `\\{escaped}` is unknown")
        if point > characters.LAST or 0xD800 <= point <= 0xDFFF:
            raise self._wrong("an escape stands for no character")
        return point

    def _token(self) -> str:
        negated = self._take("!")
        token = _TOKEN.match(self._text, self._at)
        if token is None:
            raise self._wrong("a token is written `<name>` or `<[id]>`")
        self._at = token.end()
        if not negated:
            return token[0]
        if token[1] is None:
            raise unsupported(
                f"`!{token[0]}` cannot be held.",
                "Only a token given by its id can be ruled out.",
                "Give its id.",
            )
        return f"<[^{token[1]}]>"

    def _quantifier(self) -> str | None:
        if counts := _COUNTS.match(self._text, self._at):
            least, most = int(counts[1]), int(counts[3] or counts[1])
            if most < least:
                raise self._wrong("a repetition runs backwards")
            check_count(most, "A repetition in the grammar")
            self._at = counts.end()
            return f"{{{least},{'' if counts[2] and not counts[3] else most}}}"
        letter = self._text[self._at : self._at + 1]
        if letter == "{":
            raise self._wrong("a repetition is written `{2}`, `{2,}` or `{2,5}`")
        if not letter or letter not in "*+?":
            return None
        self._at += 1
        return letter

    def _name(self) -> str:
        name = _NAME.match(self._text, self._at)
        if name is None:
            raise self._wrong("a rule begins with its name, of letters, digits and `-`")
        self._at = name.end()
        return name[0]

    def _take(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _skip(self, blank: re.Pattern[str]) -> None:
        space = blank.match(self._text, self._at)
        if space is not None:
            self._at = space.end()

    def _wrong(self, why: str) -> InvalidRequest:
        return invalid(
            "The grammar cannot be read.", f"In line {self._line()}, {why}.", "Mend the grammar (GBNF)."
        )

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1
