"""A tool call as a framed block: its name in the frame's head, its arguments as JSON in lines, a note in its foot.

    block = CallBlock(width)
    rows = block.draw(CallView("weather", '{"city": "Quito"}', note="no result yet"), folded=True)

Arguments may be any text, of any length and still growing: a finished line is laid out and highlighted once, and
folded the block shows a dozen rows and says how much more there is.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from engine.text_safety import clean, plain
from tui.stream.code import highlight_lines
from tui.stream.lines import Line, fold_code
from tui.telling.json_layout import JsonLayout

DIM = "$foreground-muted"
NAME_STYLE = "bold $role-tool"
MOST_ROWS = 12
"""Rows of arguments that a folded block shows."""
LONGEST_COLOURED = 4000
"""Characters of a line beyond which it is not highlighted: that costs more than it shows."""
NARROWEST = 16
GLYPH = "ƒ"


@dataclass(frozen=True, slots=True)
class CallView:
    """What a block shows. `key` tells the calls of a message apart; `note` says how things stand with it."""

    key: str
    name: str
    arguments: str
    note: str = ""


class CallBlock:
    """Draws one call at one width."""

    def __init__(self, width: int) -> None:
        self._width = max(NARROWEST, width)
        self._inner = self._width - 4
        self._mark = ""
        self._read = ""
        self._layout = JsonLayout()
        self._lines: list[str] = []
        self._open = ""
        self._rows: list[Line] = []
        """The rows of finished lines, as far as they were drawn unfolded."""
        self._drawn = 0

    def draw(self, call: CallView, *, folded: bool) -> list[Line]:
        """Every row of the block for the call as it is now."""
        self._mark = f"call {call.key}"
        self._feed(call.arguments)
        return [
            self._edge("╭", f"{GLYPH} {plain(call.name) or 'a tool'}", NAME_STYLE, "╮", self._mark),
            *(self._beginning() if folded else self._whole()),
            self._edge("╰", plain(call.note), DIM, "╯", f"note {call.key}"),
        ]

    def _feed(self, arguments: str) -> None:
        if not arguments.startswith(self._read):
            self._read, self._layout = "", JsonLayout()
            self._lines, self._open = [], ""
            self._rows, self._drawn = [], 0
        new = self._layout.feed(clean(arguments[len(self._read) :]))
        self._read = arguments
        *finished, self._open = (self._open + new).split("\n")
        self._lines += finished

    def _whole(self) -> list[Line]:
        """The rows of all arguments; finished lines are laid out once."""
        for text in self._lines[self._drawn :]:
            self._rows += self._lay(text)
        self._drawn = len(self._lines)
        return [*self._rows, *(self._lay(self._open) if self._open else [])]

    def _beginning(self) -> list[Line]:
        """The first rows of the arguments, and how much more there is."""
        count = len(self._lines) + bool(self._open)
        rows: list[Line] = []
        for place, text in enumerate([*self._lines[: MOST_ROWS + 1], self._open][:count]):
            room, left = MOST_ROWS - len(rows), count - place
            if room <= 0 and (left > 1 or len(text) > self._inner):
                return [*rows, self._more(f"{left:,} line{'' if left == 1 else 's'}")]
            if len(text) > max(1, room) * self._inner:
                shown = text[: room * self._inner]
                more = self._more(f"{len(text) - len(shown):,} characters and")
                return [*rows, *self._lay(shown)[:room], more]
            rows += self._lay(text)
        return rows

    def _more(self, what: str) -> Line:
        said = Content.styled(f"… {what} more · space unfolds", DIM)
        return self._row(said.truncate(self._inner, ellipsis=True), copied=False)

    def _lay(self, text: str) -> list[Line]:
        language = "json" if len(text) <= LONGEST_COLOURED else ""
        (content,) = highlight_lines([text], language)
        return [self._row(part, join=join) for part, join in fold_code(content, self._inner)]

    def _row(self, content: Content, *, join: str = "\n", copied: bool = True) -> Line:
        pad = " " * max(0, self._inner - content.cell_length)
        whole = Content.assemble(("│ ", DIM), content, pad, (" │", DIM))
        return Line(whole, 2, join, copied, len(pad) + 2, self._mark)

    def _edge(self, left: str, text: str, style: str, right: str, mark: str) -> Line:
        """The head or the foot of the frame, with `text` in it."""
        if not text:
            rule = Content.styled(left + "─" * (self._width - 2) + right, DIM)
            return Line(rule, copied=False, mark=mark)
        shown = Content.styled(text, style).truncate(self._width - 6, ellipsis=True)
        rest = "─" * (self._width - 5 - shown.cell_length)
        line = Content.assemble((f"{left}─ ", DIM), shown, (f" {rest}{right}", DIM))
        return Line(line, copied=False, mark=mark)
