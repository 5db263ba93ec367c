"""Collects the rules of a Lark grammar, in the dialect of llguidance, under names that never clash."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from engine.prompt.grammar import literal, mark

_SHARED = {
    "TEXT": r"/(?s:.*)/",
    "GAP": r"/[ \t\r\n]{1,32}/",
    "W": r"/[ \t\r\n]{0,32}/",
}
"""Any text; white space that something must follow; white space inside a terminal.

Bounded, since a small model that has started on white space may never stop.
"""


class Rules:
    """The rules of one grammar. `marks` are texts that may be special tokens of the model; `token_of` knows which."""

    def __init__(self, token_of: Callable[[str], int | None], marks: Iterable[str] = ()) -> None:
        self._token_of = token_of
        self._marks = sorted(set(marks), key=len, reverse=True)
        self._named: dict[tuple[str, str, str], str] = {}

    def token(self, text: str) -> int | None:
        """The special token that is exactly `text`."""
        return self._token_of(text)

    def mark(self, text: str) -> str:
        """A tag: its special token, or its text where the model has none."""
        return mark(text, self._token_of(text))

    def rule(self, name: str, body: str, options: str = "") -> str:
        """Add a rule (or, in capitals, a terminal) and give its name; one that is there already stands for both."""
        key = (name, body, options)
        if key not in self._named:
            count = sum(1 for other, _, _ in self._named if other == name)
            self._named[key] = f"{name}_{count}" if count else name
        return self._named[key]

    def shared(self, name: str) -> str:
        """One of the terminals that every grammar may use."""
        return self.rule(name, _SHARED[name])

    @property
    def anything(self) -> str:
        """Any text, without special tokens."""
        return self.shared("TEXT")

    @property
    def gap(self) -> str:
        """White space, or none."""
        return f"{self.shared('GAP')}?"

    def words(self, text: str) -> str:
        """`text` with its marks as tokens; where it has white space, some or none will do."""
        pieces: list[str] = []
        for run in re.split(r"(\s+)", text):
            if run.isspace():
                pieces.append(self.gap)
            elif run:
                pieces += self._marked(run)
        return " ".join(pieces)

    def _marked(self, text: str) -> list[str]:
        for found in self._marks:
            before, tag, after = text.partition(found)
            if tag:
                return [*self._marked(before), self.mark(tag), *self._marked(after)]
        return [literal(text)] if text else []

    def json_words(self, *pieces: str) -> str:
        """A terminal's body: pieces of JSON between which white space may stand, and behind the last."""
        space = self.shared("W")
        return " ".join(f"{literal(piece)} {space}" for piece in pieces)

    def lead(self, opening: str) -> str:
        """Any text that ends with `opening`, of which it may hold none before: from there on other rules hold.

        A model may also spell a tag out that it has a token for, so both are seen.
        """
        spelled = self.rule("spelled", f"/(?s:.*){regex(opening)}/", "lazy")
        if self._token_of(opening) is None:
            return spelled
        return f"({self.anything} {self.mark(opening)} | {spelled})"

    def thinking(self, close: str, budget: int | None, *, first: bool) -> str:
        """Reasoning with the tag that ends it, of at most `budget` tokens (1 or more): then only the tag can come.

        llguidance ends a grammar within the grammar after so many tokens, wherever that is (and one later where
        nothing comes before it, as `first` says). So that the tag is told from what is like it, its beginnings
        are lexemes of their own.
        """
        if budget is None:
            return self.lead(close)
        other = f"/[^{regex(close[0])}]+/"
        begun = regex(close[-2])
        for char in reversed(close[1:-2]):
            begun = f"{regex(char)}({begun})?"
        like = f"/{regex(close[0])}({begun})?/"
        body = f"%lark {{\nstart: (OTHER | LIKE)*\nOTHER: {other}\nLIKE: {like}\n}}"
        text = self.rule("thinking", body, f"max_tokens={budget - first}")
        return f"{text} {self.one_of(dict.fromkeys([self.mark(close), literal(close)]))}"

    def without(self, opening: str) -> str:
        """Any text in which `opening` does not occur."""
        self.shared("TEXT")
        return self.rule("SILENT", f"TEXT & ~/(?s:.*){regex(opening)}(?s:.*)/")

    def spaced(self, text: str) -> str:
        """A regex of `text` behind white space, or none."""
        return f"/[ \\t\\r\\n]{{0,32}}{regex(text)}/"

    def one_of(self, fragments: Collection[str]) -> str:
        """Any one of the fragments."""
        joined = " | ".join(fragments)
        return joined if len(fragments) == 1 else f"({joined})"

    def text(self, start: str) -> str:
        """The grammar whose first rule is `start`."""
        rules = [
            f"{name}{f'[{options}]' if options else ''}: {body}"
            for (_, body, options), name in self._named.items()
        ]
        return "\n".join([f"start: {start}", *rules, ""])


def regex(text: str) -> str:
    """`text` as a Lark regex matches it literally."""
    return "".join(
        char if char.isalnum() or char in "_ " else "\\n" if char == "\n" else f"\\x{{{ord(char):x}}}"
        for char in text
    )
