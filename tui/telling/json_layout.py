"""JSON text laid out in lines as it comes, finished or not, valid or not: only white space is changed.

    layout = JsonLayout()
    shown = layout.feed('{"city": "Pa') + layout.feed('ris"}')

What was laid out never changes with what comes later, so a stream can be drawn as it grows. A text that begins with
neither a brace nor a bracket is no JSON to lay out and comes back as it is.
"""

from __future__ import annotations

import re

INDENT = "  "
_TOKEN = re.compile(r'\s+|["{}\[\],:]|[^\s"{}\[\],:]+')
_STRING_END = re.compile(r'["\\]')


class JsonLayout:
    """The state of one text. Costs what is fed."""

    def __init__(self) -> None:
        self._depth = 0
        self._begun = self._verbatim = False
        self._in_string = self._escaped = False
        self._owed: str | None = None
        """What stands before the next value: a new line or a space; None: what stood there in the source."""
        self._fresh = False
        """Whether a container was opened and holds nothing yet."""
        self._space = ""

    def feed(self, text: str) -> str:
        """What `text` adds to the lines."""
        out: list[str] = []
        at = 0
        while at < len(text):
            if self._verbatim:
                out.append(text[at:])
                break
            if self._in_string:
                at = self._string(text, at, out)
                continue
            found = _TOKEN.match(text, at)
            assert found is not None, "every character is in one of the three"
            token, at = found[0], found.end()
            if token.isspace():
                self._space += token
            elif not self._begun and token not in "{[":
                self._verbatim = True
                out.append(self._space + token)
            else:
                self._begun = True
                out.append(self._place(token))
        return "".join(out)

    def _string(self, text: str, at: int, out: list[str]) -> int:
        """Take over what belongs to the open string; the place behind it."""
        if self._escaped:
            self._escaped = False
            out.append(text[at])
            return at + 1
        found = _STRING_END.search(text, at)
        if found is None:
            out.append(text[at:])
            return len(text)
        out.append(text[at : found.end()])
        self._escaped = found[0] == "\\"
        self._in_string = self._escaped
        return found.end()

    def _place(self, token: str) -> str:
        space, self._space = self._space, ""
        if token in "}]" and self._depth:
            self._depth -= 1
            lead = "" if self._fresh else self._line()
            self._fresh, self._owed = False, None
            return lead + token
        if token in ",:" and self._depth:
            self._owed = self._line() if token == "," else " "
            self._fresh = False
            return token
        lead = self._lead(space)
        if token in "{[":
            self._depth += 1
            self._fresh = True
        self._in_string = token == '"'
        return lead + token

    def _lead(self, space: str) -> str:
        """What stands before a value. Two values beside each other keep what was between them."""
        if self._fresh:
            self._fresh = False
            return self._line()
        owed, self._owed = self._owed, None
        return space if owed is None else owed

    def _line(self) -> str:
        return "\n" + INDENT * self._depth


def laid_out(text: str) -> str:
    """A whole text in lines."""
    return JsonLayout().feed(text)
